"""Figures as text: rounded to what they carry, None as a dash, without paths of a machine."""

from __future__ import annotations

import math
import re
from typing import Any

from .statistics import Difference, Score

NONE = "-"
# An absolute path of at least two parts, also with a drive; not a fraction, a unit or an address of
# the web.
_PATH = re.compile(
    r"(?<![\w./:\\-])(?:file://)?(?:~|[A-Za-z]:)?[/\\](?:[^\s/\\'\"]+[/\\])+([^\s/\\'\"]*)"
)


def percent(value: float | None) -> str:
    """IoU and other values already in percent."""
    return NONE if value is None else f"{value:.1f}"


def share(value: float | None) -> str:
    """A share of 0 to 1 as a percentage."""
    return NONE if value is None else f"{100 * value:.1f} %"


def mm(value: float | None) -> str:
    """A distance in mm."""
    return NONE if value is None else f"{value:.2f}"


def signed(value: float | None, digits: int) -> str:
    """A difference with its sign; no sign on a zero."""
    if value is None:
        return NONE
    rounded = round(value, digits)
    return f"{rounded:+.{digits}f}" if rounded else f"{0:.{digits}f}"


def significant(value: float | None) -> str:
    """Two significant digits, without an exponent (seconds)."""
    if value is None:
        return NONE
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, digits)
    # 9.97 has become 10.0: one digit less.
    digits = 1 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:,.{max(0, digits)}f}"


def whole(value: float | None) -> str:
    """A number without decimals (MB, counts)."""
    return NONE if value is None else f"{value:,.0f}"


def pair(score: Score | None) -> str:
    """IoU and wall distance as in the paper's tables."""
    return NONE if score is None else f"{percent(score.iou)}, {mm(score.awd_mm)}"


def chance(p: float | None) -> str:
    """A p value with its sign: "p = 0.012", "p < 0.001"."""
    if p is None:
        return "no p"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def difference(answers: Difference | None, digits: int) -> str:
    """A difference with its interval."""
    if answers is None:
        return NONE
    middle = signed(answers.difference, digits)
    if answers.lower is None:
        return f"{middle} (no interval)"
    return f"{middle} ({signed(answers.lower, digits)} to {signed(answers.upper, digits)})"


def within(value: float | None, lower: float | None, upper: float | None) -> str:
    """A share with its interval."""
    return (
        share(value)
        if lower is None or upper is None
        else f"{share(value)} ({share(lower)} to {share(upper)})"
    )


def interval_of_share(lower: float | None, upper: float | None) -> str:
    """The interval of a share alone."""
    return NONE if lower is None else f"{share(lower)} to {share(upper)}"


def without_paths(value: Any) -> Any:
    """The same text, or list or dict of texts, with absolute paths cut to their last part."""
    if isinstance(value, str):
        return _PATH.sub(lambda found: found[1] or "...", value)
    if isinstance(value, dict):
        return {key: without_paths(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_paths(each) for each in value]
    return value

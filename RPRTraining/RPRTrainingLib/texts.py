"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Sequence


def millimetres(value: float | None) -> str:
    """``7.3 mm``; a dash for None."""
    return "-" if value is None else f"{value:.1f} mm"


def lengths(values: Sequence[float] | None, digits: int = 2) -> str:
    """``0.98 x 0.98 x 2.5``; empty for no values."""
    return " x ".join(f"{round(value, digits):g}" for value in values or ())


def counted(count: int, one: str, many: str) -> str:
    """``1 CT`` or ``5 CTs``: both texts hold ``{count}``."""
    return (one if count == 1 else many).format(count=count)

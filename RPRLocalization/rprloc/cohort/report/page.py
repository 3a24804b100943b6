"""The page: plotly's figures, and a table of answers to sort, filter, accept and reject."""

from __future__ import annotations

import html
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ... import __version__
from ...files import atomic_write_text
from .answers import Answers
from .figures import figures_html
from .outliers import FLAGGED, LEAST, Outliers, find_outliers
from .thumbnails import link_of, thumbnails

_HERE = Path(__file__).resolve().parent
#: Nothing is fetched, sent or run but what is in the page itself.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; connect-src 'none'; form-action 'none'; base-uri 'none'"
)
_ORDER = {"low-confidence": 2, "failed": 1, "outside": 0}


@dataclass(frozen=True)
class ReportRequest:
    """What the report holds.

    Attributes:
        folder: of the results. out: the HTML file.
        most: rows of the table. pictures: thumbnails, of the most improbable ones.
        synthetic: say that no patient is shown.
    """

    folder: Path
    out: Path
    most: int = 1000
    pictures: int = 60
    synthetic: bool = False


@dataclass(frozen=True)
class ReportSummary:
    """What was written: rows of the cohort, in the table, flagged, and with a thumbnail."""

    rows: int
    shown: int
    flagged: int
    pictures: int


def write_report(
    request: ReportRequest, answers: Answers, report: Callable[[int], None]
) -> ReportSummary:
    """Write the page; ``report`` is called after every thumbnail with their number.

    Raises OutputError.
    """
    outliers = find_outliers(answers)
    shown = _chosen(answers, outliers, request.most)
    flagged = np.nan_to_num(outliers.score) > FLAGGED
    pictured = [row for row in shown if answers.found[row]][: request.pictures]
    pictures: dict[int, str] = {}
    for row, picture in thumbnails(answers, pictured):
        pictures[row] = picture
        report(len(pictures))
    rows = [_row(answers, outliers, row, pictures.get(row, "")) for row in shown]
    atomic_write_text(request.out, _page(request, answers, outliers, rows, int(flagged.sum())))
    return ReportSummary(len(answers), len(shown), int(flagged.sum()), len(pictures))


def _chosen(answers: Answers, outliers: Outliers, most: int) -> list[int]:
    """Return rows, the most improbable first, then those of low confidence, then failures."""
    status = np.array([_ORDER.get(str(one), -1) for one in answers.texts["status"]])
    order = np.lexsort((-status, -np.nan_to_num(outliers.score, nan=-1.0)))
    return [int(row) for row in order[:most]]


def _row(answers: Answers, outliers: Outliers, row: int, picture: str) -> dict[str, Any]:
    texts = {name: str(column[row]) for name, column in answers.texts.items()}
    score = float(outliers.score[row])
    return {
        **{name: texts[name] for name in ("series_id", "path", "template", "target", "status")},
        "reason": "; ".join(
            filter(None, [outliers.why[row] if score > FLAGGED else "", texts["reason"]])
        ),
        "score": None if np.isnan(score) else round(score, 1),
        "size": [_number(n) for n in answers.size[row]],
        "center": [_number(n) for n in answers.center[row]],
        "spread": _number(answers.spread[row]),
        "cycle": _number(answers.cycle[row]),
        "link": link_of(answers.root, texts["path"]),
        "picture": picture,
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 1)


def _page(
    request: ReportRequest,
    answers: Answers,
    outliers: Outliers,
    rows: list[dict[str, Any]],
    flagged: int,
) -> str:
    title = f"RPRLoc cohort: {request.folder.resolve().name}"
    warning = "SYNTHETIC, NO PATIENT. " if request.synthetic else ""
    parts = {
        "TITLE": html.escape(title),
        "POLICY": html.escape(_POLICY),
        "STYLE": (_HERE / "page.css").read_text(encoding="utf-8"),
        "WARNING": html.escape(
            f"{warning}For research, not for diagnosis or treatment."
            + ("" if request.synthetic else " Holds pictures of patients: pass it on as these.")
        ),
        "SUMMARY": html.escape(_summary(answers, len(rows), flagged)),
        "FIGURES": "\n".join(figures_html(answers, outliers)),
        "ROWS": _safe_json(rows),
        "SCRIPT": (_HERE / "page.js").read_text(encoding="utf-8"),
    }
    page = (_HERE / "page.html").read_text(encoding="utf-8")
    # Piece by piece: what is filled in may itself hold such a mark.
    pieces = page.split("@@")
    return "".join(parts[piece] if n % 2 else piece for n, piece in enumerate(pieces))


def _summary(answers: Answers, shown: int, flagged: int) -> str:
    series = len(set(answers.texts["series_id"]))
    statuses = Counter(str(one) for one in answers.texts["status"])
    counts = ", ".join(f"{name} {n}" for name, n in statuses.most_common())
    return (
        f"{series} series, {len(answers)} answers ({counts}); {flagged} flagged as improbable in "
        f"size or place (modified z-score above {FLAGGED}, of targets found in {LEAST} scans or "
        f"more). The table holds the {shown} that are most worth a look. rprloc {__version__}."
    )


def _safe_json(data: Any) -> str:
    """Return JSON that cannot end the script element that it stands in."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")

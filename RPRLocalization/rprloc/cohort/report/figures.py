"""The figures of the report, by plotly: their size does not grow with the cohort."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...localization.status import STATUSES
from .answers import Answers, Floats
from .outliers import Outliers

#: Okabe and Ito's colours, told apart by most; every status is named as well.
COLORS = {
    "ok": "#009E73",
    "low-confidence": "#E69F00",
    "outside": "#56B4E9",
    "failed": "#D55E00",
}
_AXES = (("left-right", "#0072B2"), ("front-back", "#E69F00"), ("up-down", "#009E73"))
_HEIGHT = 360
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def figures_html(answers: Answers, outliers: Outliers) -> list[str]:
    """Return the figures as parts of a page; the first brings plotly's own code along."""
    size = np.where(answers.found[:, None], answers.size, np.nan)
    spread = np.where(answers.found, answers.spread, np.nan)[:, None]
    titles = ("Answers by status", "Size of the boxes (mm)")
    figures = [
        (_counts(answers), titles[0], "answers"),
        (_boxes(answers, size, _AXES), titles[1], "mm"),
        (
            _boxes(answers, outliers.place, _AXES),
            "Place, from the median of the scan's other targets (mm)",
            "mm",
        ),
        (_boxes(answers, spread, (("spread", "#0072B2"),)), "Spread of the votes (mm)", "mm"),
    ]
    return [
        _html(traces, title, unit, f"figure-{n}", first=n == 0)
        for n, (traces, title, unit) in enumerate(figures)
        if traces
    ]


def _html(traces: Sequence[Any], title: str, unit: str, name: str, *, first: bool) -> str:
    import plotly.graph_objects as go

    figure = go.Figure(traces)
    figure.update_layout(
        title=title,
        barmode="stack",
        boxmode="group",
        height=_HEIGHT,
        margin={"l": 60, "r": 20, "t": 50, "b": 80},
        template="plotly_white",
        yaxis_title=unit,
        legend={"orientation": "h", "y": 1.12, "x": 1, "xanchor": "right"},
    )
    html: str = figure.to_html(
        full_html=False,
        include_plotlyjs=first,
        div_id=name,
        config={"displaylogo": False, "responsive": True, "modeBarButtonsToRemove": ["toImage"]},
    )
    return html


def _names(answers: Answers) -> list[str]:
    """Return the targets of all templates, named apart where there are several templates."""
    many = len(set(answers.texts["template"])) > 1
    pairs = zip(answers.texts["template"], answers.texts["target"], strict=True)
    return [f"{target} ({template})" if many else target for template, target in pairs]


def _counts(answers: Answers) -> list[Any]:
    import plotly.graph_objects as go

    names = _names(answers)
    counted = Counter(zip(names, answers.texts["status"], strict=True))
    targets = list(dict.fromkeys(names))
    return [
        go.Bar(
            name=status,
            x=[_shown(target) for target in targets],
            y=[counted[target, status] for target in targets],
            marker_color=COLORS[status],
        )
        for status in STATUSES
    ]


def _boxes(answers: Answers, values: Floats, parts: Sequence[tuple[str, str]]) -> list[Any]:
    """Return box plots of each column by target: quantiles, so that no row is in the page."""
    import plotly.graph_objects as go

    names = np.array(_names(answers), dtype=object)
    traces = []
    for column, (label, color) in enumerate(parts):
        told: dict[str, list[float]] = {}
        for target in dict.fromkeys(names):
            known = values[names == target, column]
            known = known[np.isfinite(known)]
            if len(known):
                told[target] = [float(q) for q in np.quantile(known, _QUANTILES)]
        if not told:
            continue
        low, q1, median, q3, high = (list(one) for one in zip(*told.values(), strict=True))
        traces.append(
            go.Box(
                name=label,
                x=[_shown(target) for target in told],
                lowerfence=low,
                q1=q1,
                median=median,
                q3=q3,
                upperfence=high,
                marker_color=color,
            )
        )
    return traces


def _shown(name: str) -> str:
    """Return a name that plotly, which knows some HTML, shows as it is."""
    return str(name).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

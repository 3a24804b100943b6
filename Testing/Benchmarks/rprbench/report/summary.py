"""The sentences of the report: made from figures, with no word that a figure does not carry."""

from __future__ import annotations

from collections.abc import Sequence

from . import formatting
from .measurements import OURS, PAPER, STARTS, Measurements
from .statistics import SUCCESS_MM, Difference, Paired
from .trust import SCORES, WRONG_MM, Trust

_VERBS = {"worse": "loses to", "open": "is not shown to differ from", "better": "is better than"}
_NAMED_AT_MOST = 3
"""Methods that ours is better than are only counted where they are more: the table names each."""


def verdict(pair: Difference | None, more_is_better: bool) -> str:
    """Judge the first of a pair against the second: "better", "worse" or "open".

    It is open where the 95 % interval holds 0 or there is none.
    """
    if pair is None or pair.lower is None or pair.upper is None:
        return "open"
    if pair.lower <= 0.0 <= pair.upper:
        return "open"
    return "better" if (pair.difference > 0) == more_is_better else "worse"


def summary(measurements: Measurements) -> list[str]:
    """Write the sentences under the table of the summary: at most five points."""
    if not measurements.has(OURS):
        return ["Our method (coarse and fine) was not run, so nothing can be compared with it."]
    return [
        _own(measurements),
        *_counts(measurements),
        *_trust(measurements.trust),
        *_pooling(measurements),
        *_changes(measurements),
    ]


def _own(measurements: Measurements) -> str:
    summary = measurements.summary(OURS)
    worst, speed = summary.worst(), measurements.speed(OURS)
    text = (
        f"Ours: {formatting.share(summary.mean.success)} of {summary.mean.asked:,} answers within "
        f"{SUCCESS_MM:.0f} mm; {summary.queries} patients, {len(summary.references)} references"
    )
    if worst is not None:
        text += (
            f" (SD of the IoU over them {formatting.percent(summary.spread('iou'))} points, the "
            f"worst one {formatting.percent(worst[1].iou)} % and "
            f"{formatting.mm(worst[1].awd_mm)} mm)"
        )
    if speed:
        text += (
            f"; {formatting.significant(speed['seconds_patient'])} s per patient (four organs) "
            f"with {speed.get('threads', '?')} threads on {speed.get('device', '?')}, and "
            f"{formatting.whole(speed['peak_mb'])} MB at its peak"
        )

    return f"{text}."


def _counts(measurements: Measurements) -> list[str]:
    """Say where ours loses first, by name; an interval that holds 0 shows no difference."""
    texts: dict[str, list[str]] = {}
    for metric, more_is_better, name in (("iou", True, "IoU"), ("awd_mm", False, "wall distance")):
        split: dict[str, list[str]] = {"worse": [], "open": [], "better": []}
        for variant in measurements.rivals():
            kind = verdict(measurements.against(OURS, variant, metric), more_is_better)
            split[kind].append(measurements.title(variant))
        if any(split.values()):
            text = "; ".join(_listed(kind, names) for kind, names in split.items())
            texts.setdefault(text, []).append(name)
    said = [f"in {' and in '.join(names)}, ours {text}" for text, names in texts.items()]
    sentence = ". ".join(each[0].upper() + each[1:] for each in said)
    return [f"{sentence}."] if said else []


def _listed(kind: str, names: Sequence[str]) -> str:
    """Write, for example, "loses to 2 methods (A / B)"."""
    if not names:
        return f"{_VERBS[kind]} none"
    counted_only = kind == "better" and len(names) > _NAMED_AT_MOST
    listed = "" if counted_only else f" ({' / '.join(names)})"
    return f"{_VERBS[kind]} {len(names)} method{'s' if len(names) > 1 else ''}{listed}"


def points_and_starts(measurements: Measurements) -> list[str]:
    """Compare extreme with diagonal points, and all cells with K starts, on the same answers."""
    lines = []
    for first, second in STARTS:
        iou = measurements.against(first, second, "iou")
        if iou is not None:
            names = f"{measurements.title(first)} against {measurements.title(second)}"
            lines.append(f"{names}: IoU {_both(iou, 1, '%', 'points')}.")
    return lines


def dense_field(measurements: Measurements) -> list[str]:
    """Compare ours with patches run one by one with the same weights, in accuracy and in time."""
    lines = []
    for variant in (v for v in PAPER if measurements.has(v)):
        title = measurements.title(variant)
        iou, awd = (measurements.against(OURS, variant, metric) for metric in ("iou", "awd_mm"))
        if iou is not None and awd is not None:
            lines.append(
                f"Ours against {title}: IoU {_both(iou, 1, '%', 'points')}; wall distance "
                f"{_both(awd, 2, 'mm', 'mm')}."
            )
        own, other = (measurements.speed(v).get("seconds_patient") for v in (OURS, variant))
        if own and other:
            lines.append(
                f"{title} takes {formatting.significant(other)} s per patient, ours "
                f"{formatting.significant(own)} s: {formatting.significant(other / own)} times "
                "the time of ours."
            )
    return lines


def _both(pair: Paired, digits: int, unit: str, step: str) -> str:
    """Write "63.1 against 45.0 %, a difference of +18.1 points (95 % interval ..., p < 0.001)"."""
    means = f"{pair.first:.{digits}f} against {pair.second:.{digits}f} {unit}"
    text = f"{means}, a difference of {formatting.signed(pair.difference, digits)} {step}"
    if pair.lower is None:
        return f"{text} (too few patients for an interval)"
    lower, upper = (formatting.signed(end, digits) for end in (pair.lower, pair.upper))
    return f"{text} (95 % interval {lower} to {upper}, {formatting.chance(pair.p)})"


def _trust(trust: Trust | None) -> list[str]:
    if trust is None:
        return []
    titles = {
        "gone": "that are gone from the CT",
        "25": "of which 25 % are visible",
        "whole": "that are whole",
    }
    shares = {each.case: each for each in trust.shares if not each.side}
    rates = [
        f"{formatting.within(s.statuses['ok'], s.ok_lower, s.ok_upper)} of {s.n:,} {titles[s.case]}"
        for s in (shares[case] for case in titles if case in shares)
    ]
    text = f"Reported ok (95 % interval in brackets) are, of the organs, {', '.join(rates)}"

    scores = trust.aurocs["whole and partly visible organs"]
    known = [(SCORES[name], auroc) for name, auroc in scores.items() if auroc.value is not None]
    if known:
        values = " and ".join(f"{auroc.value:.2f} for the {name}" for name, auroc in known)
        text += f"; the AUROC for errors of more than {WRONG_MM:.0f} mm is {values}"
    return [f"{text}."]


def _pooling(measurements: Measurements) -> list[str]:
    pools = measurements.pools()
    if len(pools) < 2:
        return []
    most = max(pools)
    gain = measurements.gain(most)
    text = f"Pooling {most} references gives {_mean_of(measurements, most)}"
    if 1 in pools and gain is not None:
        text += (
            f", one gives {_mean_of(measurements, 1)}; paired by patient the IoU differs by "
            f"{formatting.difference(gain, 1)} points"
        )
    return [f"{text}."]


def _mean_of(measurements: Measurements, references: int) -> str:
    mean = measurements.pools()[references].mean
    return f"IoU {formatting.percent(mean.iou)} % and {formatting.mm(mean.awd_mm)} mm"


def _changes(measurements: Measurements) -> list[str]:
    compared = [(c, c.iou) for c in measurements.changes() if c.iou is not None]
    if not compared:
        return []
    change, worst = min(compared, key=lambda item: item[1].difference)
    harmless = sum(pair.lower is not None and pair.lower > -1.0 for _, pair in compared)
    return [
        f"Of {len(compared)} changes of the CT, '{change.title}' costs most: the IoU changes by "
        f"{formatting.difference(worst, 1)} points; for {harmless} of them the 95 % interval "
        "excludes a loss of 1 point."
    ]

"""The summary of the report: sentences made from figures, with no word that a figure does not carry."""

from __future__ import annotations

from collections.abc import Sequence

from . import formatting
from .changes import changes, few_shot, gain
from .measurements import OURS, PAPER, TABLE3, Measured
from .statistics import Paired
from .trust import SCORES, WRONG_MM, all_shares, auroc, groups


def verdict(found: Paired | None, more_is_better: bool) -> str:
    """ "better", "worse" or "open", of the first of a pair: open where the 95 % interval holds 0 or there is none."""
    if (
        found is None
        or found.lower is None
        or found.upper is None
        or found.lower <= 0.0 <= found.upper
    ):
        return "open"
    return "better" if (found.difference > 0) == more_is_better else "worse"


def summary(measured: Measured) -> list[str]:
    """All sentences, each one point of a list."""
    if OURS not in measured.methods:
        return ["Our method (coarse and fine) was not run, so nothing can be compared with it."]
    return [
        *_own(measured),
        *_counts(measured),
        *_each(measured),
        *_trust(measured),
        *_few(measured),
        *_changes(measured),
    ]


def others(measured: Measured) -> list[str]:
    """Variants that ours is compared with: all of Table 3, and the method as in the paper."""
    experiments = [
        name for name in measured.experiments if name not in ("accuracy-ours", "accuracy-runs")
    ]
    return [v for v in measured.variants((*TABLE3, *PAPER), experiments) if v != OURS]


def _own(measured: Measured) -> list[str]:
    found = measured.summary(OURS)
    worst, speed = found.worst(), measured.speed(OURS)
    lines = [
        f"{measured.title(OURS)} (ours): IoU {formatting.percent(found.mean.iou)} %, wall distance "
        f"{formatting.mm(found.mean.awd_mm)} mm, {formatting.share(found.mean.success)} of {found.mean.asked:,} answers within "
        f"10 mm; {found.queries} patients, {len(found.references)} references."
    ]
    if worst is not None:
        lines[0] += (
            f" Over the references the IoU has an SD of {formatting.percent(found.spread('iou'))} points; the worst one "
            f"gives {formatting.percent(worst[1].iou)} % and {formatting.mm(worst[1].awd_mm)} mm."
        )
    if speed:
        lines.append(
            f"Ours takes {formatting.significant(speed['seconds_patient'])} s per patient (four organs) with "
            f"{speed.get('threads', '?')} threads on {speed.get('device', '?')}, and {formatting.whole(speed['peak_mb'])} "
            "MB at its peak."
        )
    return lines


def _counts(measured: Measured) -> list[str]:
    """Where ours loses first, by name; an interval that holds 0 counts as no difference shown."""
    said: dict[str, list[str]] = {}
    for metric, more, name in (("iou", True, "IoU"), ("awd_mm", False, "wall distance")):
        split: dict[str, list[str]] = {"worse": [], "open": [], "better": []}
        for variant in others(measured):
            split[verdict(measured.against(OURS, variant, metric), more)].append(
                measured.title(variant)
            )
        if any(split.values()):
            said.setdefault(
                "; ".join(_listed(kind, names) for kind, names in split.items()), []
            ).append(name)
    return [f"In {' and in '.join(names)}, ours {text}." for text, names in said.items()]


def _listed(kind: str, names: Sequence[str]) -> str:
    """ "loses to 2 methods (A / B)" """
    verb = {"worse": "loses to", "open": "is not shown to differ from", "better": "is better than"}[
        kind
    ]
    if not names:
        return f"{verb} none"
    # of many, the points that follow have each one
    listed = "" if kind == "better" and len(names) > 3 else f" ({' / '.join(names)})"
    return f"{verb} {len(names)} method{'s' if len(names) > 1 else ''}{listed}"


def points_and_starts(measured: Measured) -> list[str]:
    """Extreme against diagonal points, and all cells against K starts, on the same references and patients."""
    compared = [
        ("coarse-k1", "diagonal-k1"),
        ("coarse-k15", "diagonal-k15"),
        ("coarse-all", "diagonal-all"),
        ("coarse-k15", "coarse-k1"),
        ("coarse-all", "coarse-k15"),
        ("coarse-all", "coarse-k20"),
    ]
    lines = []
    for first, second in compared:
        iou = measured.against(first, second, "iou")
        if iou is not None:
            names = f"{measured.title(first)} against {measured.title(second)}"
            lines.append(f"{names}: IoU {_both(iou, 1, '%', 'points')}.")
    return lines


def dense_field(measured: Measured) -> list[str]:
    """Ours against patches run one by one with the same weights, in accuracy and in time."""
    lines = []
    for variant in (v for v in PAPER if v in measured.methods):
        iou, awd = (measured.against(OURS, variant, metric) for metric in ("iou", "awd_mm"))
        if iou is not None and awd is not None:
            lines.append(
                f"Ours against {measured.title(variant)}: IoU {_both(iou, 1, '%', 'points')}; wall distance "
                f"{_both(awd, 2, 'mm', 'mm')}."
            )
        own, other = (measured.speed(v).get("seconds_patient") for v in (OURS, variant))
        if own and other:
            lines.append(
                f"{measured.title(variant)} takes {formatting.significant(other)} s per patient, ours "
                f"{formatting.significant(own)} s: {formatting.significant(other / own)} times the time of ours."
            )
    return lines


def _each(measured: Measured) -> list[str]:
    lines = []
    for variant in others(measured):
        iou, awd = (measured.against(OURS, variant, metric) for metric in ("iou", "awd_mm"))
        if iou is None:
            lines.append(f"Ours and {measured.title(variant)} have no answer in common to compare.")
            continue
        line = f"Ours against {measured.title(variant)}: IoU {_both(iou, 1, '%', 'points')}"
        line += (
            f"; wall distance {_both(awd, 2, 'mm', 'mm')}"
            if awd
            else "; no wall distances to compare"
        )
        lines.append(
            f"{line}. {_result(iou, awd)} {iou.patients} patients, {iou.keys:,} answers each."
        )
    return lines


def _both(found: Paired, digits: int, unit: str, step: str) -> str:
    """ "63.1 against 45.0 %, a difference of +18.1 points (95 % interval +15.0 to +21.0, p < 0.001)" """
    means = f"{found.first:.{digits}f} against {found.second:.{digits}f} {unit}"
    text = f"{means}, a difference of {formatting.signed(found.difference, digits)} {step}"
    if found.lower is None:
        return f"{text} (too few patients for an interval)"
    interval = (
        f"{formatting.signed(found.lower, digits)} to {formatting.signed(found.upper, digits)}"
    )
    return f"{text} (95 % interval {interval}, {formatting.chance(found.p)})"


def _result(iou: Paired, awd: Paired | None) -> str:
    said = {
        "better": "ours is better",
        "worse": "ours is worse",
        "open": "no difference is shown",
    }
    first, second = verdict(iou, True), verdict(awd, False)
    if first == second:
        return f"By both, {said[first]}."
    return f"By IoU, {said[first]}; by wall distance, {said[second]}."


def _trust(measured: Measured) -> list[str]:
    rows = measured.rows("statuses")
    lines = []
    told = {
        "gone": "that are gone from the CT",
        "25": "of which 25 % are visible",
        "whole": "that are whole",
    }
    found = {s.case: s for s in all_shares(rows) if not s.side}
    for case, title in told.items():
        if case in found:
            s = found[case]
            rate = formatting.within(s.statuses["ok"], s.ok_lower, s.ok_upper)
            lines.append(
                f"Of {s.n:,} answers for organs {title}, {rate} are reported ok (95 % interval in brackets)."
            )
    whole = groups(rows)["whole and partly visible organs"]
    for score, name in SCORES.items():
        value = auroc(whole, score)
        if value.value is not None:
            interval = (
                ""
                if value.lower is None
                else f" (95 % interval {value.lower:.2f} to {value.upper:.2f})"
            )
            lines.append(
                f"The {name} tells errors of more than {WRONG_MM:.0f} mm with an AUROC of {value.value:.2f}{interval}; "
                f"{value.wrong:,} of {value.n:,} answers for present organs were that far off."
            )
    return lines


def _few(measured: Measured) -> list[str]:
    found = few_shot(measured)
    if len(found) < 2:
        return []
    most = max(found)
    more = gain(measured, most, "iou")
    line = (
        f"Pooling {most} references gives IoU {formatting.percent(found[most].mean.iou)} % and "
        f"{formatting.mm(found[most].mean.awd_mm)} mm"
    )
    if 1 in found and more is not None:
        line += (
            f", one gives {formatting.percent(found[1].mean.iou)} % and {formatting.mm(found[1].mean.awd_mm)} mm; paired by "
            f"patient the IoU differs by {formatting.difference(more, 1)} points"
        )
    return [f"{line}."]


def _changes(measured: Measured) -> list[str]:
    known = [(c, c.iou) for c in changes(measured) if c.iou is not None]
    if not known:
        return []
    change, worst = min(known, key=lambda item: item[1].difference)
    kept = sum(pair.lower is not None and pair.lower > -1.0 for _, pair in known)
    return [
        f"Of {len(known)} changes of the CT, '{change.title}' costs most: the IoU changes by "
        f"{formatting.difference(worst, 1)} points. For {kept} of them the 95 % interval excludes a loss of 1 point."
    ]

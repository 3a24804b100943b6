"""Agreement of located with true targets.

Scores per query and target, and their summary (no printing).

Only what is complete is scored: an organ that the query's labels lack counts as absent, one that
the field of view cuts as incomplete. A scored target that was not found has an IoU of 0, is no
success, and has no wall distance.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..geometry import Geometry, Points
from ..localization.result import Result
from ..localization.status import Status
from ..targets.dicom_targets import is_dicom_target
from ..targets.labelmap import LabelMap, read_label_map
from ..targets.loading import is_markups, load_targets
from ..targets.markups import clean_name
from ..targets.placement import lattice_conflict
from ..targets.target import Kind, Target, target_from_mask
from .metrics import box_iou, landmark_error, wall_distance

SUCCESS_MM = 10.0

Scored = Literal["yes", "absent", "incomplete"]


@dataclass(frozen=True, eq=False)
class Truth:
    """A true target of a query; ``cut`` if the edge of the label map or of the CT cuts it."""

    target: Target
    cut: bool


@dataclass(frozen=True)
class Score:
    """One target in one query: IoU in %, wall distance and landmark error in mm.

    None where not defined.
    """

    query: str
    target: str
    kind: Kind
    status: Status
    scored: Scored
    iou: float | None = None
    awd_mm: float | None = None
    error_mm: float | None = None
    spread_mm: float | None = None
    cycle_mm: float | None = None
    radius90_mm: float | None = None

    @property
    def success(self) -> bool:
        """True if the wall distance (box) or the error (landmark) is below 10 mm."""
        distance = self.awd_mm if self.kind == "box" else self.error_mm
        return distance is not None and distance < SUCCESS_MM


def split_query(text: str) -> tuple[Path, Path]:
    """``IMAGE=LABELS`` -> both paths; file names may hold ``=`` where the files exist.

    Raises InputError.
    """
    cuts = [n for n, letter in enumerate(text) if letter == "=" and 0 < n < len(text) - 1]
    pairs = [(Path(text[:n]), Path(text[n + 1 :])) for n in cuts]

    if not pairs:
        raise InputError(f"--query {text}: give a CT and its labels as IMAGE=LABELS")
    return next((pair for pair in pairs if pair[0].exists() and pair[1].exists()), pairs[0])


def read_complete(path: Path) -> dict[str, list[str]]:
    """Query stem -> organs to score.

    ``{case: [...]}`` or ``{"cases": {case: {"complete_organs": [...]}}}``.

    Raises InputError for anything else.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise InputError(f"{path}: not a JSON file") from error

    cases = data.get("cases", data) if isinstance(data, dict) else None
    if isinstance(cases, dict):
        found = {
            str(k): v.get("complete_organs") if isinstance(v, dict) else v for k, v in cases.items()
        }
        lists = {
            k: v
            for k, v in found.items()
            if isinstance(v, list) and all(isinstance(n, str) for n in v)
        }
        if lists and len(lists) == len(found):
            return lists
    raise InputError(
        f'{path}: expected the organs to score of each query, such as {{"case_1": ["Mandible"]}}'
    )


def read_truths(
    path: Path, ids: Mapping[str, int] | None, names: Collection[str], image: Geometry
) -> dict[str, Truth]:
    """Read the true targets among ``names`` from a label map or markups file of a query.

    ``image`` is the lattice of the query. What has to be said of the file is in the targets' notes.

    Raises InputError if the file cannot be used, or if none of its targets lies in the CT.
    """
    truths = (
        [Truth(target, False) for target in load_targets(path) if target.name in names]
        if is_markups(path) or is_dicom_target(path)
        else _truths_of_label_file(path, ids, names, image)
    )

    # A voxel of the CT: label maps and CTs may have different lattices.
    margin = float(image.spacing.max())
    inside = [image.contains(truth.target.points, margin) for truth in truths]
    if truths and not any(one.any() for one in inside):
        raise InputError(
            f"{path}: none of its targets lies in the CT: do they belong to the same patient?"
        )

    pairs = zip(truths, inside, strict=True)
    return {
        truth.target.name: Truth(truth.target, truth.cut or not bool(one.all()))
        for truth, one in pairs
    }


def _truths_of_label_file(
    path: Path, ids: Mapping[str, int] | None, names: Collection[str], image: Geometry
) -> list[Truth]:
    labels = read_label_map(path)
    try:
        conflict = lattice_conflict(labels.geometry, image)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    notes = (*labels.notes, *[conflict] * bool(conflict))
    return [
        replace(truth, target=replace(truth.target, notes=(*notes, *truth.target.notes)))
        for truth in _truths_of_labels(labels, ids, names)
    ]


def _truths_of_labels(
    labels: LabelMap, ids: Mapping[str, int] | None, names: Collection[str]
) -> list[Truth]:
    keys: Mapping[str, int | str] = ids if ids is not None else _own_keys(labels)
    truths = []
    for name in names:
        mask = labels.mask(keys[name]) if name in keys else None
        if mask is not None and mask.any():
            truths.append(Truth(target_from_mask(name, mask, labels.geometry), touches_edge(mask)))
    return truths


def _own_keys(labels: LabelMap) -> dict[str, int | str]:
    """Target name -> segment name, or label value where the file names none."""
    if labels.names:
        return {clean_name(name): name for name in labels.names}
    return {f"label_{value}": int(value) for value in np.unique(labels.array) if value != 0}


def touches_edge(mask: NDArray[np.bool_]) -> bool:
    """True if a mask (k, j, i) has voxels in the first or last layer of any axis."""
    return any(bool(mask.take(index, axis=axis).any()) for axis in range(3) for index in (0, -1))


def score_results(
    results: Sequence[Result], truths: Mapping[str, Truth], complete: Collection[str] | None
) -> list[Score]:
    """One score per result. ``complete``: the targets to score; None for all that nothing cuts.

    Raises InputError if a truth is a box where the target is a landmark, or the other way round.
    """
    return [_score(result, truths.get(result.target), complete) for result in results]


def _score(result: Result, truth: Truth | None, complete: Collection[str] | None) -> Score:
    scored: Scored = "yes"
    if truth is None:
        scored = "absent"
    elif truth.target.kind != result.kind:
        raise InputError(
            f"target {result.target!r} is a {result.kind}, but a {truth.target.kind} in the labels"
        )
    elif truth.cut if complete is None else result.target not in complete:
        scored = "incomplete"

    measures: dict[str, float | None] = {}
    if truth is not None and scored == "yes":
        measures = _measures(result, truth.target)

    return Score(
        query=result.query,
        target=result.target,
        kind=result.kind,
        status=result.status,
        scored=scored,
        spread_mm=result.spread_mm,
        cycle_mm=result.cycle_mm,
        radius90_mm=result.radius90_mm,
        **measures,
    )


def _measures(result: Result, truth: Target) -> dict[str, float | None]:
    if truth.box is not None:
        found = result.box if result.found else None
        if found is None:
            return {"iou": 0.0}
        return {"iou": 100.0 * box_iou(found, truth.box), "awd_mm": wall_distance(found, truth.box)}

    if not result.found or result.center is None:
        return {}
    return {"error_mm": float(landmark_error(Points(result.center[None]), truth.points)[0])}


def summarize(
    targets: Iterable[str], scores: Sequence[Score], seconds: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    """``organs``, ``mean`` (over the organs that were scored) and ``seconds``, ready for JSON.

    seconds: per query, wall clock per phase. Distances in mm, IoU and success rate in %.
    """
    organs = {name: _organ([score for score in scores if score.target == name]) for name in targets}
    used = [organ for organ in organs.values() if organ["n"]]
    mean: dict[str, Any] = {"n": sum(organ["n"] for organ in used), "organs": len(used)}
    mean |= {
        key: _mean([organ[key] for organ in used])
        for key in ("iou", "awd_mm", "error_mm", "success_10mm")
    }

    phases = list(dict.fromkeys(phase for one in seconds.values() for phase in one))
    times: dict[str, Any] = {"queries": len(seconds)}
    for phase in phases:
        values = [one[phase] for one in seconds.values() if phase in one]
        times[phase] = {"mean": float(np.mean(values)), "median": float(np.median(values))}

    times["per_case"] = {name: dict(one) for name, one in seconds.items()}
    return {"organs": organs, "mean": mean, "seconds": times}


def _organ(scores: Sequence[Score]) -> dict[str, Any]:
    used = [score for score in scores if score.scored == "yes"]
    absent = [score for score in scores if score.scored == "absent"]
    return {
        "n": len(used),
        "iou": _mean([score.iou for score in used]),
        "awd_mm": _mean([score.awd_mm for score in used]),
        "error_mm": _mean([score.error_mm for score in used]),
        "success_10mm": 100.0 * sum(score.success for score in used) / len(used) if used else None,
        "statuses": dict(Counter(score.status for score in used)),
        "absent": {"n": len(absent), "statuses": dict(Counter(score.status for score in absent))},
        "incomplete": {"n": sum(score.scored == "incomplete" for score in scores)},
        "iou_per_case": {score.query: score.iou for score in used if score.iou is not None},
        "awd_mm_per_case": {
            score.query: score.awd_mm for score in used if score.awd_mm is not None
        },
        "error_mm_per_case": {
            score.query: score.error_mm for score in used if score.error_mm is not None
        },
    }


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def scores_csv(scores: Sequence[Score]) -> str:
    """One row per score, numbers with two decimals, empty where there is none."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    names = [field.name for field in fields(Score)]
    writer.writerow(names)
    for score in scores:
        values = [getattr(score, name) for name in names]
        writer.writerow(
            ["" if v is None else f"{v:.2f}" if isinstance(v, float) else v for v in values]
        )
    return stream.getvalue()

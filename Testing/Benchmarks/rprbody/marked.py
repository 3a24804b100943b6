"""Cases whose landmarks were placed by eye for this product: references of ``train``, and ``val``.

They calibrate radii, and make the bundled library. Nothing is reported on them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rprloc.targets.target import Target

from .cases import Case, landmark_targets, read_cases

UNCHECKED = "not checked"
_HERE = Path(__file__).parent
Marks = Mapping[str, Mapping[str, list[float]]]


def usable_images(data: Path) -> dict[str, Path]:
    """The ``train`` CTs of a known licence, by name; raises OSError, ValueError or KeyError."""
    splits = json.loads((data / "splits.json").read_text(encoding="utf-8"))
    cases: dict[str, Any] = {name: splits["cases"][name] for name in splits["splits"]["train"]}
    known = {n: c for n, c in sorted(cases.items()) if UNCHECKED not in c.get("licence", "")}
    return {name: (data / case["image"]).resolve() for name, case in known.items()}


def train_references(data: Path) -> list[Case]:
    """The usable ``train`` CTs with targets: those that came with them, then ``train_marks.json``.

    Raises OSError, ValueError or KeyError.
    """
    images = usable_images(data)
    came = {case.name: case for case in read_cases(data, "train")}
    marks = _marks("train")
    names = [name for name in [*came, *(n for n in marks if n not in came)] if name in images]
    return [
        Case(name, images[name], partial(_with_marks, came.get(name), marks.get(name, {})))
        for name in names
    ]


def marked_head_and_neck(folder: Path) -> list[Case]:
    """CTs of the head-and-neck data's ``val`` with landmarks (``val_marks.json``)."""
    return [
        Case(name, folder / "val" / f"{name}.nii.gz", partial(landmark_targets, points))
        for name, points in _marks("val").items()
    ]


def _marks(split: str) -> Marks:
    found: Marks = json.loads((_HERE / f"{split}_marks.json").read_text(encoding="utf-8"))[
        "landmarks"
    ]
    return found


def _with_marks(case: Case | None, points: Mapping[str, list[float]]) -> dict[str, Target]:
    """What came with the CT, and what was placed by eye and did not."""
    came = {} if case is None else case.targets
    return {**came, **{name: p for name, p in landmark_targets(points).items() if name not in came}}

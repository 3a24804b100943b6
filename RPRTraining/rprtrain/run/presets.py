"""Settings for a body region, as data that can be shown before a training starts.

How the settings follow from the extents of the bodies (preset ``from-data``):

* ``r`` of the coarse network: offsets are ``r * tanh``, which is steep and exact only well below
  ``r``. Measured: r = 300 over offsets of 400 mm errs by 23 mm per axis, over 250 mm by 5.6 mm. So
  ``r`` is at least 1.25 times the diagonal that 95 % of the bodies stay below, rounded up to 50 mm.
* Its voxels: the bodies' cross-sections (95 %) fit into a view, because what is never seen together
  is not learnt.
* The fine network looks at a neighbourhood of the estimate only: r = 150 mm, pairs up to 110 mm,
  and less in bodies that are smaller than that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rprloc.errors import InputError
from rprloc.model.network_config import PnetConfig

from ..augmentation import Augmentation
from ..config import COARSE, FINE, StageConfig
from ..data.scan import ScanRow

ROOM = 1.25
DIAGONAL_PERCENTILE = 95.0
RANGE_STEP_MM = 50.0
# Pairs up to this share of r enter the loss: 1 / ROOM.
REACH_OF_RANGE = 0.8
# A neighbourhood is at most this share of the diagonal, or it is no neighbourhood.
REACH_OF_DIAGONAL = 0.6
# The fine network's voxels: the CTs' own, but not below this share of the coarse ones.
FINEST_OF_COARSE = 0.75
USUAL_VOXEL_MM = 3.0
# A cut view shows at most this share of the typical body's shortest edge.
SMALLEST_OF_BODY = 0.7
LARGEST_NUMBER = 1e5
CHANGEABLE = {"spacing", "range_mm", "reach_mm", "smallest_mm", "learning_rate", "elastic_mm"}
SPACINGS = (1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
FROM_DATA = "from-data"


@dataclass(frozen=True)
class Preset:
    """A named pair of settings.

    Attributes:
        name, title, description: for programs, for a list, for a page.
        body_region: for the card.
        stages: by ``coarse`` and ``fine``.
    """

    name: str
    title: str
    description: str
    body_region: str
    stages: dict[str, StageConfig]

    def to_json(self) -> dict[str, Any]:
        """A JSON object; the stages as ``describe_stage`` has them."""
        stages = [describe_stage(stage) for stage in self.stages.values()]
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "body_region": self.body_region,
            "stages": stages,
        }


HEAD_AND_NECK = Preset(
    "head-and-neck",
    "Head and neck",
    "planning and diagnostic CTs of the head, neck and upper chest; those of the bundled model",
    "head and neck",
    {"coarse": COARSE, "fine": FINE},
)

ABDOMEN = Preset(
    "abdomen",
    "Abdomen (3 mm)",
    "CTs of the abdomen, pelvis or trunk: coarse 6 mm,"
    " so that a whole cross-section is seen at once; fine 3 mm",
    "abdomen",
    {
        "coarse": COARSE.with_changes(
            spacing=6.0, range_mm=700.0, crop=(96, 64, 80), smallest_mm=150.0, reach_mm=560.0
        ),
        "fine": FINE,
    },
)

BODY = Preset(
    "body",
    "Any part of the body (6 mm)",
    "CTs of different regions, from the head to the pelvis: coarse 6 mm with a wide view,"
    " cut at every height; fine 3 mm",
    "head to pelvis",
    {
        "coarse": COARSE.with_changes(
            net=PnetConfig(
                stem=16,
                stages=((32, 1), (64, 1), (128, 1)),
                decoder=(64,),
                head=128,
            ),
            spacing=6.0,
            range_mm=600.0,
            crop=(96, 64, 80),
            smallest_mm=120.0,
            reach_mm=450.0,
            steps=20000,
            elastic_mm=12.0,
            augmentation=Augmentation(
                cut_probability=(0.7, 0.25, 0.3),
                smallest_edge=(1.0, 1.6, 2.0),
                offset_hu=(-60.0, 60.0),
                gamma=(0.8, 1.25),
                noise_hu=(0.0, 80.0),
            ),
        ),
        "fine": FINE,
    },
)

PRESETS = {preset.name: preset for preset in (HEAD_AND_NECK, ABDOMEN, BODY)}


def find_preset(name: str, rows: Sequence[ScanRow] = ()) -> Preset:
    """The preset of that name; ``from-data`` looks at the rows that are used. Raises InputError."""
    if name == FROM_DATA:
        return preset_from_data([row for row in rows if row.used and row.body_mm])
    if name not in PRESETS:
        raise InputError(f"there is no preset {name!r}: choose {', '.join([*PRESETS, FROM_DATA])}")
    return PRESETS[name]


def preset_from_data(rows: Sequence[ScanRow]) -> Preset:
    """Settings that follow from scanned bodies and voxels; raises InputError without any."""
    if not rows:
        raise InputError("no usable CT in the folder: there is nothing to propose settings from")
    extents = np.array([row.body_mm for row in rows])
    wide = np.percentile(extents, DIAGONAL_PERCENTILE, axis=0)
    diagonal = float(np.percentile(np.linalg.norm(extents, axis=1), DIAGONAL_PERCENTILE))
    typical = float(np.median(extents, axis=0).min())
    coarse = _coarse(wide, diagonal, typical)

    voxel = USUAL_VOXEL_MM
    if all(row.spacing for row in rows):
        voxel = float(np.median([max(row.spacing[:3]) for row in rows]))
    finest = FINEST_OF_COARSE * coarse.spacing
    fine_spacing = _step_up(max(finest, min(voxel, coarse.spacing)) - 1e-6)
    reach = min(FINE.reach_mm, REACH_OF_DIAGONAL * diagonal)
    fine = FINE.with_changes(
        spacing=min(fine_spacing, coarse.spacing),
        range_mm=round(reach / FINE.reach_mm * FINE.range_mm),
        reach_mm=round(reach),
        smallest_mm=coarse.smallest_mm,
    )

    edges = " x ".join(f"{n:.0f}" for n in wide)
    text = (
        f"from {len(rows)} CTs: bodies of up to {edges} mm, diagonal {diagonal:.0f} mm;"
        f" r = {coarse.range_mm:.0f} mm leaves room of {coarse.range_mm / diagonal:.2f}"
        " times the diagonal"
    )
    return Preset(FROM_DATA, "From my data", text, "not stated", {"coarse": coarse, "fine": fine})


def _coarse(wide: np.ndarray, diagonal: float, typical: float) -> StageConfig:
    """The coarse stage for bodies of ``wide`` (x, y, z) mm, a diagonal and a shortest edge."""
    room = np.array(COARSE.crop[::-1], dtype=float)
    spacing = _step_up(max(wide[0] / room[0], wide[1] / room[1]))
    align = COARSE.net.alignment
    fitting = [math.ceil(w / spacing / align) * align for w in wide[::-1]]
    edges = [
        max(4 * align, min(edge, limit)) for edge, limit in zip(fitting, COARSE.crop, strict=True)
    ]
    range_mm = math.ceil(ROOM * diagonal / RANGE_STEP_MM) * RANGE_STEP_MM
    smallest = COARSE.smallest_mm * spacing / COARSE.spacing
    return COARSE.with_changes(
        spacing=spacing,
        range_mm=range_mm,
        reach_mm=round(REACH_OF_RANGE * range_mm),
        crop=(edges[0], edges[1], edges[2]),
        smallest_mm=round(min(smallest, SMALLEST_OF_BODY * typical)),
    )


def _step_up(least: float) -> float:
    """The smallest of ``SPACINGS`` that is not below ``least``, or the largest."""
    return next((s for s in SPACINGS if s >= least), SPACINGS[-1])


def changed(preset: Preset, changes: Any) -> Preset:
    """The preset with numbers of the user's own.

    Args:
        preset: where the other numbers come from.
        changes: ``{"coarse": {"spacing": 3.0, "range_mm": 400.0}, ...}``; ``reach_mm`` follows
            ``range_mm`` unless it is named too.

    Raises:
        InputError: for unknown or impossible numbers.
    """
    stages = dict(preset.stages)
    try:
        for name, values in dict(changes or {}).items():
            stage = stages[name]
            numbers = {str(key): float(value) for key, value in dict(values).items()}
            possible = all(0 < n < LARGEST_NUMBER for n in numbers.values())
            if not set(numbers) <= CHANGEABLE or not possible:
                raise ValueError(name)
            if "range_mm" in numbers:
                reach = min(stage.reach_mm, round(REACH_OF_RANGE * numbers["range_mm"]))
                numbers.setdefault("reach_mm", reach)
            stages[name] = stage.with_changes(**numbers)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"settings that cannot be changed, or not so: {changes}") from error
    return replace(preset, stages=stages)


def describe_stage(stage: StageConfig) -> dict[str, Any]:
    """What a plan shows of a stage: lengths in mm, sizes in voxels (x, y, z)."""
    return {
        "name": stage.name,
        "spacing": stage.spacing,
        "range_mm": stage.range_mm,
        "reach_mm": stage.reach_mm,
        "crop": list(stage.crop[::-1]),
        "crop_mm": [round(n * stage.spacing) for n in stage.crop[::-1]],
        "receptive_mm": stage.net.receptive_field * stage.spacing,
        "stride_mm": stage.net.stride * stage.spacing,
        "steps": stage.steps,
        "settings": stage.to_json(),
    }

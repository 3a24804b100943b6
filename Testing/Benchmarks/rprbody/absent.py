"""Targets that a scan cannot show: how often an answer claims to have found them all the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rprloc.image.volume import read_volume

from .cases import HEAD_AND_NECK, Case
from .measuring import Row
from .methods import Ours

_PELVIS = (
    *("femoral_head_right", "femoral_head_left", "sacral_promontory", "pubic_symphysis_top"),
    *("asis_right", "asis_left", "urinary_bladder"),
)
_ABDOMEN = (
    *("kidney_upper_pole_right", "kidney_upper_pole_left", "aortic_bifurcation"),
    *("liver", "spleen", "kidney_left", "kidney_right", "pancreas"),
)
_UPPER_CHEST = ("jugular_notch", "lung_apex_right", "lung_apex_left", "aortic_arch_top")
#: What scans of one part of the body never show, by the beginning of their region's name.
NEVER_SHOWN = {
    "thorax": (*HEAD_AND_NECK, *_PELVIS),
    "abdomen": (*HEAD_AND_NECK, *_UPPER_CHEST),
    "head-neck": (*_ABDOMEN, *_PELVIS),
}
#: Regions that reach into the next one: only these exact names are what they say.
_PURE = ("thorax", "abdomen", "abdomen-pelvis", "head-neck")
#: CTs of the trunk data, whose region is not told.
_THORAX = "lidc_"


def queries(folder: Path, split: str) -> dict[str, tuple[Path, tuple[str, ...]]]:
    """CTs of one part of the body: their files, and the targets that they cannot show."""
    data = json.loads((folder / "splits.json").read_text(encoding="utf-8"))
    found = {}
    for name in data["splits"][split]:
        case = data["cases"][name]
        region = "thorax" if name.startswith(_THORAX) else str(case.get("region", ""))
        region = region.partition(" (")[0]
        if region in _PURE:
            never = NEVER_SHOWN[region.partition("-pelvis")[0]]
            found[name] = ((folder / case["image"]).resolve(), never)
    return found


def absent_rows(
    method: Ours, references: Sequence[Case], folder: Path, split: str
) -> Iterator[Row]:
    """The answers to every question for a target that is not there; their error is None."""
    for name, (image, never) in queries(folder, split).items():
        encoded = method.encode(replace(read_volume(image), name=name))
        for reference in references:
            wanted = [target for target in reference.targets if target in never]
            if not wanted or reference.name == name:
                continue
            found = method.find(method.template_of(reference), encoded, wanted)
            for target in wanted:
                kind = reference.targets[target].kind
                told = dict(found[target].told or {})
                yield Row(reference.name, name, target, kind, "absent", None, None, told)

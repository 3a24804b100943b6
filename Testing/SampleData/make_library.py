"""Make the bundled template library: seven organs pooled over the labelled ``val`` patients.

    python Testing/SampleData/make_library.py --data HAN_FOLDER --out .../han-ct-organs.json

It holds latents only, no image.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from pathlib import Path

import torch

from rprloc.image.volume import read_volume
from rprloc.localization.locator import Locator
from rprloc.localization.template import Example, Template
from rprloc.model.finding import find_model
from rprloc.model.loading import load_model
from rprloc.targets.labelmap import read_label_map
from rprloc.targets.loading import targets_from_label_map

# A template of many references uses no more points of each (and the file stays small).
KEPT_POINTS = 30


def trimmed(example: Example, reference: str) -> Example:
    """The example with the points that a template of many references uses, under a neutral name."""
    fine = None if example.fine is None else example.fine[:KEPT_POINTS]
    offsets, coarse = example.offsets[:KEPT_POINTS], example.coarse[:KEPT_POINTS]
    return replace(example, reference=reference, offsets=offsets, coarse=coarse, fine=fine)


def patient_template(
    locator: Locator, data: Path, name: str, splits: dict[str, object]
) -> Template:
    """One-reference template of the complete organs of a val patient."""
    ids: dict[str, int] = splits["label_ids"]  # type: ignore[assignment]
    complete = splits["cases"][name]["complete_organs"]  # type: ignore[index]
    labels = read_label_map(data / "val" / f"{name}.labels.nii.gz")
    targets = targets_from_label_map(labels, {o: ids[o] for o in complete}, skip_absent=True)
    template = locator.make_template(
        locator.embed(read_volume(data / "val" / f"{name}.nii.gz")), targets
    )
    light = tuple(
        replace(t, examples=tuple(trimmed(e, name) for e in t.examples)) for t in template.targets
    )
    return replace(template, targets=light)


def write_pooled(templates: Iterable[Template], out: Path) -> None:
    """Pool templates of one model, and write the library; says how many examples targets have."""
    pooled = reduce(Template.merged, templates)
    out.parent.mkdir(parents=True, exist_ok=True)
    pooled.write(out, overwrite=True)
    print({t.name: len(t.examples) for t in pooled.targets}, file=sys.stderr)


def main() -> None:
    """Pool all val patients and write the template."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="the han folder (val/, splits.json)"
    )
    parser.add_argument("--model", default="han-ct")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    splits = json.loads((args.data / "splits.json").read_text(encoding="utf-8"))
    locator = Locator(load_model(find_model(args.model), torch.device("cpu")))
    names = splits["splits"]["val"]
    write_pooled((patient_template(locator, args.data, name, splits) for name in names), args.out)


if __name__ == "__main__":
    main()

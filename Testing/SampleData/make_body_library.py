"""Make the bundled template library of the whole body: organs and landmarks of the ``train`` CTs.

    python Testing/SampleData/make_body_library.py --data BODY_FOLDER --han HAN_FOLDER --out X.json

Their places are told in the mean of all CTs, which the template carries as its sketch: it holds
latents and an average over patients, no image of any of them. Marks come with the data, and from
``rprbody/train_marks.json`` (placed by eye, for this library, on CTs that came without). CTs whose
licence nobody has checked are left out.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from make_library import trimmed, write_pooled
from rprbody.cases import Case
from rprbody.marked import train_references, usable_images

from rprloc.localization.locator import Locator
from rprloc.localization.template import Example, Template
from rprloc.model.finding import find_model
from rprloc.model.loading import load_model
from rprtrain.atlas.mean_sketch import NAME, MeanBody, mean_of
from rprtrain.data.dataset import load_volumes

SPACING_MM = 6.0
#: Of the head-and-neck CTs, which are many and alike, one in so many helps with the mean.
HAN_EVERY = 6


def in_mean(example: Example, mean: MeanBody, name: str) -> Example:
    """The example of a CT as one of the mean: its points where they lie there."""
    assert example.center is not None
    centre = torch.from_numpy(example.center)
    points = torch.cat([centre[None], centre + torch.from_numpy(example.offsets)])
    moved = mean.from_ct(name, points).numpy()
    offsets = (moved[1:] - moved[0]).astype(np.float32)
    size = None if example.size_mm is None else np.ptp(offsets[:6], axis=0)
    return replace(example, offsets=offsets, center=moved[0], size_mm=size, sketch=NAME)


def one_template(locator: Locator, case: Case, mean: MeanBody) -> Template:
    """The template of one CT, told in the mean."""
    made = locator.make_template(locator.embed(case.read()), list(case.targets.values()))
    name = case.name
    entries = tuple(
        replace(t, examples=tuple(in_mean(trimmed(e, name), mean, name) for e in t.examples))
        for t in made.targets
    )
    return replace(made, targets=entries, sketches={NAME: mean.sketch.to_json()})


def main() -> None:
    """Pool all train CTs that have targets and a place in the mean, and write the template."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the body folder (splits.json)")
    parser.add_argument("--han", type=Path, required=True, help="the han folder (train/)")
    parser.add_argument("--model", default="body-ct")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()

    images = usable_images(args.data)
    files = [*images.values(), *sorted((args.han / "train").glob("*.nii.gz"))[::HAN_EVERY]]
    mean = mean_of(load_volumes(files, SPACING_MM), lambda text: print(text, file=sys.stderr))
    print(f"CTs per slice of the mean: {mean.shown.int().tolist()}", file=sys.stderr)

    locator = Locator(load_model(find_model(args.model), torch.device("cpu")))
    templates = (
        one_template(locator, case, mean)
        for case in train_references(args.data)
        if case.name in mean.maps and case.targets
    )
    write_pooled(templates, args.out)


if __name__ == "__main__":
    main()

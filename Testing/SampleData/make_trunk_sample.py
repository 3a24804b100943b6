"""Make the synthetic trunk pair (Resources/SampleDataTrunk), as ``make_sample`` makes the other.

The CTs come from the training folder of the body data; where they lie in one frame says the atlas
of a training across patients (``atlas.ckpt`` in the folder that
``rprloc train --preset body --across-patients overlap`` writes). Their median is bent twice.

    export PYTHONPATH=RPRLocalization:RPRTraining
    python Testing/SampleData/make_trunk_sample.py BODY/splits.json atlas.ckpt --out DIR
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

import make_sample as ms  # noqa: E402
import trunk_organs  # noqa: E402
from average_trunk import MINIMUM_PATIENTS, make_average  # noqa: E402

from rprtrain.atlas.atlas import Atlas  # noqa: E402

# Coarser than the head and neck, as a trunk is larger and the files must stay small.
REFERENCE = ms.Storage((3.5, 3.5, 3.5), ms.REFERENCE.axes, (-250.0, -180.0, -610.0))
QUERY = ms.Storage(
    (3.6, 3.0, 3.6), ms.QUERY.axes, (-230.5, -300.0, 1150.0), (6.0, 0.0, 0.0), (6.0, 4.0, 10.0)
)
TRUNK = ms.Region(
    Path(__file__).with_name("SOURCE.trunk.template.md"),
    (REFERENCE, QUERY),
    MINIMUM_PATIENTS,
    lower_end_mm=0.0,
    landmarks=trunk_organs.LANDMARKS,
)


def main() -> int:
    """Make the average (or take the one in --work), then the pair."""
    parser = argparse.ArgumentParser(description="Make the synthetic trunk pair from many CTs.")
    parser.add_argument("splits", type=Path, help="splits.json of the body data")
    parser.add_argument("atlas", type=Path, help="atlas.ckpt of a training across patients")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--work", type=Path, help="folder that keeps the average for a rerun")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    average = ms.load(options.work) if options.work else None
    if average is None:
        atlas = Atlas.load(options.atlas, torch.device("cpu"))
        average = make_average(
            options.splits, atlas, MINIMUM_PATIENTS, lambda line: print(line, flush=True)
        )
        if options.work:
            ms.save(average, options.work)
    ms.make_pair(average, trunk_organs.IDS, options.out, options.seed, TRUNK)
    return 0


if __name__ == "__main__":
    sys.exit(main())

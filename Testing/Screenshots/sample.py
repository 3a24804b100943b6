"""The README's picture of the synthetic sample: the results of the demo beside the known truth.

python3 Testing/demo.py --out RESULTS      (or: rprloc locate, with the sample's files)
export PYTHONPATH=RPRLocalization
python Testing/Screenshots/sample.py RESULTS Resources/Screenshots/sample.png
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from rprloc.evaluation.picture import save_picture
from rprloc.image.volume import read_volume
from rprloc.localization.result import Result
from rprloc.targets.loading import load_targets

SAMPLE = Path(__file__).resolve().parents[2] / "RPRLocalization" / "Resources" / "SampleData"


def read_results(path: Path) -> list[Result]:
    """The rows of a ``results.csv`` (LPS mm)."""
    with open(path, encoding="utf-8", newline="") as stream:
        return [result_of(row) for row in csv.DictReader(stream)]


def result_of(row: dict[str, str]) -> Result:
    """One row as a result; empty cells are no position."""
    center, size = (
        [float(row[name]) for name in names] if row[names[0]] else None
        for names in (("cx", "cy", "cz"), ("sx", "sy", "sz"))
    )
    known = (row["query"], row["target"], row["kind"], row["status"], row["reason"])
    return Result(*known, center=center, size=size)  # type: ignore[arg-type]


def main(results: Path, picture: Path) -> None:
    """Draw the results of the sample's query with the organs that it was made from."""
    truth = load_targets(SAMPLE / "query.labels.nii.gz", SAMPLE / "label_ids.json")
    rows = read_results(results / "results.csv")
    volume = read_volume(SAMPLE / "query.nii.gz")
    save_picture(picture, volume, rows, rows[0].query, synthetic=True, truth=truth)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""The picture of a cohort's report in docs/cohorts.md: of synthetic CTs, in Chromium.

export PYTHONPATH=RPRLocalization:RPRTraining:Testing
python Testing/Screenshots/cohort.py WORK Resources/Screenshots/cohort.png

WORK is a folder for the CTs (the synthetic sample, deformed at random and written as DICOM), their
index, results and report; what is there is not made again. Needs the extras cohort and dicom,
Playwright and Debian's chromium.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Testing" / "Benchmarks"), str(ROOT / "Testing" / "SampleData")]

from cohort_trees import write_ct  # noqa: E402
from deform import Spread, random_affine, random_field  # noqa: E402

from rprloc.cli.main import main as rprloc  # noqa: E402
from rprloc.image.volume import Volume  # noqa: E402

SAMPLE = ROOT / "RPRLocalization" / "Resources" / "SampleData" / "query.nii.gz"
TEMPLATE = ROOT / "RPRLocalization" / "Resources" / "Templates" / "han-ct-organs.json"
COUNT = 20
#: CTs that are stretched by more than patients differ, so that there is something to find.
STRETCHED = {4: (1.0, 1.0, 1.35), 11: (1.3, 1.0, 1.0)}
SIZE = (1500, 1320)


def write_tree(tree: Path) -> None:
    """Write the synthetic sample, deformed at random, as DICOM series; one lacks a slice."""
    image = sitk.ReadImage(str(SAMPLE), sitk.sitkFloat32)
    center = image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])
    for number in range(COUNT):
        rng = np.random.default_rng(number)
        volume = _deformed(image, np.array(center), rng, STRETCHED.get(number, (1.0, 1.0, 1.0)))
        folder = write_ct(tree / f"synthetic{number:02d}" / "ct", volume, f"SYN{number:02d}")
        if number == COUNT - 1:
            sorted(folder.iterdir())[40].unlink()


def _deformed(
    image: sitk.Image, center: np.ndarray, rng: np.random.Generator, stretch: tuple[float, ...]
) -> Volume:
    spread = Spread()
    corners = [
        image.TransformIndexToPhysicalPoint(
            [n * (size - 1) for n, size in zip(at, image.GetSize(), strict=True)]
        )
        for at in np.ndindex(2, 2, 2)
    ]
    field = random_field(rng, np.min(corners, axis=0), np.max(corners, axis=0), spread)
    pull = sitk.ScaleTransform(3, [1 / n for n in stretch])
    pull.SetCenter(center.tolist())
    transforms = [
        random_affine(rng, center, spread),
        sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64)),
        pull,
    ]
    moved = sitk.Resample(
        image, image, sitk.CompositeTransform(transforms), sitk.sitkLinear, -1024.0
    )
    return Volume.from_sitk(sitk.Cast(sitk.Round(moved), sitk.sitkInt16), "synthetic")


def take_picture(page: Path, picture: Path) -> None:
    """Open the report, decide on three answers, and take a picture."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]})
        tab.goto(page.as_uri())
        tab.wait_for_selector("#answers img")
        tab.locator("h1").click()
        for key in ("r", "a", "k"):
            tab.keyboard.press(key)
        tab.evaluate("window.scrollTo(0, 0)")
        tab.screenshot(path=picture)
        browser.close()


def main(work: Path, picture: Path) -> None:
    """Make what is missing, and the picture."""
    tree, index, out = work / "tree", work / "cohort.parquet", work / "results"
    if not tree.exists():
        write_tree(tree)
    rprloc(["cohort", "index", str(tree), "--out", str(index)])
    given = [str(index), "--template", str(TEMPLATE), "--out", str(out), "--device", "cpu"]
    rprloc(["cohort", "locate", *given])
    report = work / "report.html"
    rprloc(["cohort", "report", str(out), "--out", str(report), "--overwrite", "--synthetic"])
    take_picture(report, picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

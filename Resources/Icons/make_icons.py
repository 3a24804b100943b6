"""Draw the icons: a box with its six extreme points around a mark. Needs matplotlib.

    python Resources/Icons/make_icons.py

Writes Resources/Icons/RPRLoc.png (the extension),
RPRLocalization/Resources/Icons/RPRLocalization.png and RPRTraining/Resources/Icons/RPRTraining.png
(the modules) and the thumbnails of the sample patients, from the synthetic sample itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle

ROOT = Path(__file__).resolve().parents[2]
MODULE_ICONS = ROOT / "RPRLocalization" / "Resources" / "Icons"
SAMPLES = ROOT / "RPRLocalization" / "Resources"
INK, ORGAN, MARK = "#1f3b57", "#e69f00", "#009e73"
PIXELS = 128


def canvas(background: str):
    """A square figure of 128 pixels, x and y from 0 to 1."""
    figure = plt.figure(figsize=(1, 1), dpi=PIXELS)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.axis("off")
    rounded = "round,pad=0.02,rounding_size=0.14"
    axes.add_patch(
        FancyBboxPatch((0.06, 0.06), 0.88, 0.88, boxstyle=rounded, fc=background, ec="none")
    )
    return figure, axes


def draw(path: Path, background: str) -> None:
    """One icon: an organ in its box, its extreme points on the walls, a cross hair in it."""
    figure, axes = canvas(background)
    angles = np.linspace(0, 2 * np.pi, 200)
    radius = 0.25 + 0.03 * np.cos(3 * angles)
    x, y = 0.5 + 1.05 * radius * np.cos(angles), 0.5 + 0.9 * radius * np.sin(angles)
    axes.fill(x, y, fc=ORGAN, ec="none", alpha=0.95)
    lower, upper = (x.min(), y.min()), (x.max(), y.max())
    axes.add_patch(
        Rectangle(lower, upper[0] - lower[0], upper[1] - lower[1], fill=False, ec="white", lw=2.2)
    )
    for index in (x.argmin(), x.argmax(), y.argmin(), y.argmax()):
        axes.add_patch(Circle((x[index], y[index]), 0.045, fc=MARK, ec="white", lw=1))
    axes.plot([0.5, 0.5], [0.41, 0.59], color="white", lw=2)
    axes.plot([0.41, 0.59], [0.5, 0.5], color="white", lw=2)
    save(figure, path)


def draw_training(path: Path, background: str) -> None:
    """The training's icon: a falling curve over a stack of slices."""
    figure, axes = canvas(background)
    for n in range(3):
        low = 0.17 + 0.06 * n
        axes.add_patch(
            Rectangle((low, low), 0.5, 0.5, fc=ORGAN, ec="white", lw=1.4, alpha=0.35 + 0.2 * n)
        )
    x = np.linspace(0.16, 0.86, 100)
    y = 0.22 + 0.6 * np.exp(-6.5 * (x - 0.16))
    axes.plot(x, y, color=background, lw=6.5, solid_capstyle="round")
    axes.plot(x, y, color="white", lw=3, solid_capstyle="round")
    axes.add_patch(Circle((x[-1], y[-1]), 0.05, fc=MARK, ec="white", lw=1))
    save(figure, path)


def thumbnail(path: Path, name: str, view: str = "sagittal") -> None:
    """The middle slice of a sample CT, marked as synthetic."""
    sys.path.insert(0, str(ROOT / "RPRLocalization"))
    from rprloc.image.resampling import to_grid
    from rprloc.image.volume import read_volume

    hu = to_grid(read_volume(SAMPLES / f"{name}.nii.gz"), 3.0).hu
    figure = plt.figure(figsize=(1.28, 1.28), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    middle = hu[:, :, hu.shape[2] // 2] if view == "sagittal" else hu[:, hu.shape[1] // 2]
    axes.imshow(middle[::-1], cmap="gray", vmin=-160, vmax=240)
    axes.axis("off")
    axes.set_facecolor("black")
    figure.patch.set_facecolor("black")
    axes.text(
        0.03, 0.9, "synthetic", transform=axes.transAxes, color="white", fontsize=7, ha="left"
    )
    save(figure, path)


def save(figure, path: Path) -> None:
    """Write a PNG without the date, so that the same drawing gives the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(
        path,
        transparent=figure.patch.get_facecolor() == (1.0, 1.0, 1.0, 1.0),
        metadata={"Software": None},
    )
    plt.close(figure)


if __name__ == "__main__":
    draw(ROOT / "Resources" / "Icons" / "RPRLoc.png", INK)
    draw(MODULE_ICONS / "RPRLocalization.png", INK)
    draw_training(ROOT / "RPRTraining" / "Resources" / "Icons" / "RPRTraining.png", INK)
    thumbnail(MODULE_ICONS / "RPRLocSyntheticReference.png", "SampleData/reference")
    thumbnail(MODULE_ICONS / "RPRLocSyntheticQuery.png", "SampleData/query")
    thumbnail(
        MODULE_ICONS / "RPRLocSyntheticTrunkReference.png", "SampleDataTrunk/reference", "coronal"
    )
    thumbnail(MODULE_ICONS / "RPRLocSyntheticTrunkQuery.png", "SampleDataTrunk/query", "coronal")

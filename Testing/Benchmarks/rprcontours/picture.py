"""A picture of carried contours beside the query's own, on the synthetic sample only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt

from rprloc.image.hounsfield import DISPLAY_WINDOW_HU

from .agreement import agreement
from .cases import Case, Mask
from .methods import Carried

COLUMNS = 4
#: The model that ``auto`` stands for.
DRAWN_MODEL = "body-ct"


def draw_sample(path: Path, reference: Case, query: Case) -> None:
    """One panel per organ: the slice where the truth is largest, both outlines."""
    method = Carried("one", DRAWN_MODEL)
    found = method.find(method.learn([reference]), query.volume).masks
    rows = -(-len(query.masks) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(2.6 * COLUMNS, 2.9 * rows))
    for axis in np.ravel(axes):
        axis.set_axis_off()
    for axis, (name, truth) in zip(np.ravel(axes), query.masks.items(), strict=False):
        mask = found.get(name, np.zeros_like(truth))
        _panel(axis, query.volume.array, mask, truth)
        axis.set_title(f"{name}, Dice {agreement(mask, truth, query.geometry).dice:.0f} %", size=9)
    figure.suptitle("SYNTHETIC SAMPLE. Orange: carried; white, dashed: the query's own", size=10)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _panel(axis: plt.Axes, hu: npt.NDArray[np.int16], mask: Mask, truth: Mask) -> None:
    k = int(truth.sum(axis=(1, 2)).argmax())
    low, high = DISPLAY_WINDOW_HU
    axis.imshow(hu[k], cmap="gray", vmin=low, vmax=high)
    axis.contour(truth[k], levels=[0.5], colors="white", linewidths=1.0, linestyles="dashed")
    if mask[k].any():
        axis.contour(mask[k], levels=[0.5], colors="#e69f00", linewidths=1.3)
    rows, columns = np.nonzero(truth[k] | mask[k])
    axis.set_xlim(columns.min() - 15, columns.max() + 15)
    axis.set_ylim(rows.max() + 15, rows.min() - 15)

"""A picture of the self-check: how many points err by less than so many mm. Needs matplotlib."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from rprloc.errors import OutputError
from rprloc.files import atomic_write_bytes

from .self_check import Report

# Errors beyond this are not told apart: all of them are failures.
WIDEST_MM = 40.0


def write_check_picture(path: Path, report: Report) -> Path:
    """Write a PNG and return its path.

    Raises:
        OutputError: without matplotlib, or if it cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise OutputError("a picture needs matplotlib, which is not installed") from error

    figure = Figure(figsize=(6.4, 3.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, values in report.errors.items():
        if values:
            ordered = np.sort(values)
            share = 100.0 * np.arange(1, len(ordered) + 1) / len(ordered)
            axes.step(ordered, share, where="post", label=f"{name}: mean {np.mean(ordered):.1f} mm")

    axes.set_xlim(0.0, WIDEST_MM)
    axes.set_ylim(0.0, 100.0)
    axes.set_xlabel("error (mm)")
    axes.set_ylabel("points with a smaller error (%)")
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right")

    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    atomic_write_bytes(path, stream.getvalue())
    return path

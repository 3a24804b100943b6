"""What a user of the panel waits for, and how much memory the application keeps.

Real panel, worker and model.

    PYTHONPATH=Testing:RPRLocalization:RPRTraining python Testing/Benchmarks/panel.py [--runs 20]
    [--json out.json]

The CT is the synthetic sample on 128 x 128 x 110 voxels; seven organs marked on one reference are
sought in another CT. The application is the test host; the memory is that of its process, without
the worker's.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from statistics import median
from typing import Any

import slicerhost

SHAPE = (110, 128, 128)


def resampled(node: Any) -> None:
    """Bring a volume node to 128 x 128 x 110 voxels over the same block."""
    import numpy as np
    import slicer
    from scipy.ndimage import zoom

    array = slicer.util.arrayFromVolume(node)
    factors = [n / m for n, m in zip(SHAPE, array.shape, strict=True)]
    node.SetSpacing(*(s / f for s, f in zip(node.GetSpacing(), reversed(factors), strict=True)))
    slicer.util.updateVolumeFromArray(
        node, zoom(array.astype(np.float32), factors, order=1).astype(np.int16)
    )


def megabytes() -> float:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def open_panel(host: Any) -> tuple[Any, float]:
    """The module's widget, and the seconds until its panel was ready."""
    started = time.perf_counter()
    widget = host.loadModule("RPRLocalization")
    host.processEvents()
    return widget, time.perf_counter() - started


def prepare(host: Any, widget: Any) -> None:
    """Load the sample, mark seven organs, tick the query."""
    import qt
    from RPRLocalizationLib.sampledata import QUERY, REFERENCE, loadSample

    reference, organs = loadSample(REFERENCE)
    (query,) = loadSample(QUERY)
    for node in (reference, query):
        resampled(node)
    ui = widget.ui
    ui.referenceSelector.setCurrentNode(reference)
    host.processEvents()
    ui.existingSelector.setCurrentIndex(ui.existingSelector.findData(organs.GetID()))
    ui.addExistingButton.click()
    for row in range(ui.volumesList.count):
        if ui.volumesList.item(row).text() == QUERY:
            ui.volumesList.item(row).setCheckState(qt.Qt.Checked)
    host.processEvents()


def localize(host: Any, widget: Any) -> float:
    """Press Localize; seconds until the results are shown."""
    started = time.perf_counter()
    widget.ui.runButton.click()
    host.waitFor(lambda: not widget.logic.running, 300)
    host.processEvents()
    found = [row.status for row in widget.panel.results.run.rows]
    if found.count("ok") != 7:
        raise RuntimeError(f"seven organs expected, but: {found}")
    return time.perf_counter() - started


def main() -> None:
    """Measure the panel and print what the README says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    host = slicerhost.start()
    widget, ready = open_panel(host)
    prepare(host, widget)
    first, before = localize(host, widget), megabytes()
    later = [localize(host, widget) for _ in range(args.runs)]
    figures = {
        "panel_ready_s": round(ready, 2),
        "first_localization_s": round(first, 2),
        "next_localization_s": {"median": round(median(later), 2), "max": round(max(later), 2)},
        "memory_growth_mb": round(megabytes() - before, 1),
        "runs": args.runs,
    }
    print(json.dumps(figures, indent=1))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    host.unloadModules()


if __name__ == "__main__":
    main()

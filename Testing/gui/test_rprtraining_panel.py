"""The panel RPRTraining: scan, plan, training. The worker is played."""

from __future__ import annotations

import pytest
from rprtrainingpanel import bench  # noqa: F401 (a fixture)


def test_emptyPanelSaysWhatToDo(bench):
    assert not bench.ui.trainButton.enabled and "Choose a folder" in bench.ui.trainWhyLabel.text
    bench.scan()
    assert bench.ui.ctsTable.rowCount == 7

"""The RPRLocalization panel in the host, with a fake worker: what its tests share."""

from __future__ import annotations

import numpy as np
import pytest

IJK_TO_RAS = np.array([[-3.0, 0, 0, 60.0], [0, -3.0, 0, 50.0], [0, 0, 3.0, -40.0], [0, 0, 0, 1.0]])


class PanelDriver:
    """The open panel: ``ui`` and ``worker`` (a FakeWorker), and what a user does with it."""

    def __init__(self, host, widget, worker) -> None:
        self.host, self.widget, self.worker = host, widget, worker
        self.ui, self.logic = widget.ui, widget.logic

    @property
    def parameters(self):
        return self.widget.panel.parameters

    @property
    def run(self):
        return self.widget.panel.results.run

    def addVolume(self, name: str):
        """A small CT-like volume."""
        import slicer

        array = np.full((30, 34, 40), -1000, np.int16)
        array[5:25, 6:28, 8:32] = 40
        node = slicer.util.addVolumeFromArray(array, name=name)
        matrix = slicer.util.vtkMatrixFromArray(IJK_TO_RAS)
        node.SetIJKToRASMatrix(matrix)
        self.host.processEvents()
        return node

    def addLandmark(self, label: str = "nose"):
        """A landmark of the reference, taken over from the scene."""
        import slicer

        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", f"list of {label}")
        node.AddControlPoint([0.0, 0.0, 0.0], label)
        return self.take(node)

    def addBox(self, name: str = "liver"):
        """A box of the reference, taken over from the scene."""
        import slicer

        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", name)
        node.SetCenter([0.0, 0.0, 0.0])
        node.SetSize([20.0, 20.0, 20.0])
        return self.take(node)

    def take(self, node):
        """Choose a node in "From scene" and press Add."""
        self.host.processEvents()
        self.ui.existingSelector.setCurrentIndex(self.ui.existingSelector.findData(node.GetID()))
        self.click(self.ui.addExistingButton)
        return node

    def click(self, button) -> None:
        """Press a button that must be enabled, and let everything happen."""
        self.host.processEvents()
        assert button.enabled, f"{button.objectName}: {button.toolTip}"
        button.click()
        self.host.processEvents()

    def tick(self, row: int, on: bool = True) -> None:
        """Tick a volume of the list of queries."""
        import qt

        self.ui.volumesList.item(row).setCheckState(qt.Qt.Checked if on else qt.Qt.Unchecked)
        self.host.processEvents()

    def names(self) -> list[str]:
        """Texts of the list of queries."""
        return [self.ui.volumesList.item(row).text() for row in range(self.ui.volumesList.count)]

    def cells(self, column: int) -> list[str]:
        """A column of the table of results."""
        table = self.ui.resultsTable
        return [table.item(row, column).text() for row in range(table.rowCount)]

    def targets(self) -> list[str]:
        """Names in the table of targets."""
        table = self.ui.targetsTable
        return [table.item(row, 0).text() for row in range(table.rowCount)]

    def ready(self, queries: int = 1) -> list:
        """Mark a landmark and a box on a reference, and tick queries; return the volumes."""
        volumes = [
            self.addVolume(name)
            for name in ("reference", *(f"query {n + 1}" for n in range(queries)))
        ]
        self.addLandmark()
        self.addBox()
        self.click(self.ui.allButton)
        return volumes

    def localize(self) -> None:
        """Press Localize and wait for the end."""
        self.click(self.ui.runButton)
        self.host.waitFor(lambda: not self.logic.running)
        self.host.processEvents()


@pytest.fixture
def panel(host, loadModule, tmp_path, monkeypatch):
    """The panel, just opened: fake worker, empty user library, PyTorch taken for installed."""
    import qt
    from RPRLocalizationLib.library.templatelibrary import TemplateLibrary
    from RPRLocalizationLib.logic import RPRLocalizationLogic
    from RPRLocalizationLib.widget import RPRLocalizationWidget
    from RPRLocalizationLib.widgets import torchsetup

    from support.panels.fake_worker import FakeWorker

    worker = FakeWorker(lambda then: qt.QTimer.singleShot(0, then))
    library = TemplateLibrary(tmp_path / "templates")
    monkeypatch.setattr(
        RPRLocalizationWidget,
        "makeLogic",
        staticmethod(lambda: RPRLocalizationLogic(client=worker, library=library)),
    )
    monkeypatch.setattr(torchsetup, "torchInstalled", lambda: True)
    return PanelDriver(host, loadModule("RPRLocalization"), worker)

"""The RPRTraining panel in the host, with a fake worker: what its tests share."""

from __future__ import annotations

import pytest


class TrainingPanelDriver:
    """The open panel: ``ui``, ``logic``, ``worker`` (a FakeTrainer), and what a user does."""

    def __init__(self, host, widget, worker, folder) -> None:
        self.host, self.widget, self.worker, self.folder = host, widget, worker, folder
        self.ui, self.logic, self.panel = widget.ui, widget.logic, widget.panel

    def click(self, button) -> None:
        """Press a button that must be enabled, and let everything happen."""
        self.host.processEvents()
        assert button.enabled, f"{button.objectName}: {button.toolTip}"
        button.click()
        self.settle()

    def settle(self) -> None:
        """Let everything happen that is about to."""
        for _ in range(5):
            self.host.processEvents()

    def scan(self) -> None:
        """Choose the folder, press Scan and wait for its end."""
        self.ui.ctsFolderEdit.setCurrentPath(str(self.folder))
        self.click(self.ui.scanButton)
        self.host.waitFor(lambda: not self.logic.task)
        self.settle()

    def plan(self) -> None:
        """Fill in section 2 and wait for the plan."""
        self.ui.nameEdit.setText("my abdomen")
        self.ui.regionEdit.setText("abdomen")
        self.host.waitFor(lambda: self.ui.trainButton.enabled)
        self.settle()

    def begin(self) -> None:
        """A training that stays without an answer until the test gives one."""
        self.worker.held.add("train.start")
        self.scan()
        self.plan()
        self.click(self.ui.trainButton)
        self.host.waitFor(lambda: self.worker.of("train.start"))

    def train(self) -> None:
        """A whole training."""
        self.scan()
        self.plan()
        self.click(self.ui.trainButton)
        self.host.waitFor(lambda: not self.logic.training)
        self.settle()

    def tell(self, *events) -> None:
        """Events of the training that was begun."""
        self.worker.tell(self.worker.last("train.start"), list(events))
        self.settle()

    def column(self, table, column: int) -> list[str]:
        """Texts of a column of a table."""
        return [table.item(row, column).text() for row in range(table.rowCount)]

    def log(self) -> str:
        """Text of the log."""
        return self.ui.trainLogEdit.toPlainText()


@pytest.fixture
def bench(host, loadModule, tmp_path, monkeypatch):
    """The panel, just opened, with a fake worker, and PyTorch taken for installed."""
    import qt
    from RPRLocalizationLib.widgets import torchsetup
    from RPRTrainingLib.traininglogic import RPRTrainingLogic
    from RPRTrainingLib.trainingsettings import TrainingSettings
    from RPRTrainingLib.trainingwidget import RPRTrainingWidget

    from support.panels.fake_trainer import FakeTrainer

    settings = TrainingSettings()
    settings.chosenRunsFolder = str(tmp_path / "trainings")
    settings.modelFolder = str(tmp_path / "models")
    (tmp_path / "cts").mkdir()
    worker = FakeTrainer(lambda then: qt.QTimer.singleShot(0, then))
    monkeypatch.setattr(
        RPRTrainingWidget, "makeLogic", staticmethod(lambda: RPRTrainingLogic(client=worker))
    )
    monkeypatch.setattr(torchsetup, "torchInstalled", lambda: True)
    return TrainingPanelDriver(host, loadModule("RPRTraining"), worker, tmp_path / "cts")

"""The module's self test: the worker knows the training methods and scans a folder."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import qt
import slicer
from RPRLocalizationLib.jobs.workerjob import Problem
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from .traininglogic import RPRTrainingLogic


class RPRTrainingTest(ScriptedLoadableModuleTest):
    """Run by "Reload and Test" of Slicer's developer mode, and by the tests; without PyTorch."""

    def setUp(self) -> None:
        """Begin with an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        """Run every check."""
        self.setUp()
        self.test_folderIsScanned()

    def test_folderIsScanned(self) -> None:
        """A folder with a file that is no CT: the scan ends, and says so."""
        logic, outcome = RPRTrainingLogic(), []
        loop = qt.QEventLoop()

        def onDone(result: Any, problem: Problem | None) -> None:
            outcome.append(problem)
            loop.quit()

        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "damaged.nii").write_bytes(b"no image")
            rows: list[dict[str, Any]] = []
            try:
                logic.scan(folder, rows.append, lambda event: None, onDone)
                if not outcome:
                    loop.exec_()
            finally:
                logic.close()
        assert outcome[0] is None, outcome[0]
        assert len(rows) == 1 and not rows[0]["used"]
        self.delayDisplay("Test passed")

"""The module's self test.

The sample patients, located through the logic as a user's script would.
"""

from __future__ import annotations

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from rprloc.localization.status import FAILED

from .logic import RPRLocalizationLogic
from .sampledata import QUERY, loadSample
from .widgets.torchsetup import torchInstalled


class RPRLocalizationTest(ScriptedLoadableModuleTest):
    """Run by "Reload and Test" of Slicer's developer mode, and by the extension's tests.

    Needs PyTorch.
    """

    def setUp(self) -> None:
        """Begin with an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        """Everything, as Slicer calls it."""
        self.setUp()
        self.test_bundledTemplateFindsTheSample()

    def test_bundledTemplateFindsTheSample(self) -> None:
        """Seven organs in the synthetic query, without a reference."""
        if not torchInstalled():
            self.delayDisplay("Skipped: PyTorch is not installed.")
            return
        (query,) = loadSample(QUERY)
        logic = RPRLocalizationLogic()
        try:
            run = logic.localize(template="han-ct-organs", queries=[query])
        finally:
            logic.close()
        assert len(run.rows) == 7
        assert FAILED not in [row.status for row in run.rows]
        self.delayDisplay("Test passed")

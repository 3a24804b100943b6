"""The module's widget in Slicer: makes the panel and follows the life of the module."""

from __future__ import annotations

from typing import Any

import slicer
from RPRLocalizationLib.widgets.reloading import forgetOwnCode
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget

from .traininglogic import RPRTrainingLogic
from .trainingpanel import TrainingPanel


class RPRTrainingWidget(ScriptedLoadableModuleWidget):
    """Slicer calls setup, enter and cleanup; ``makeLogic`` can be replaced by a test.

    Nothing of a training belongs to the scene: it goes on when the scene is closed or another
    module is opened.
    """

    makeLogic = staticmethod(RPRTrainingLogic)

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        self.logic: RPRTrainingLogic | None = None
        self.panel: TrainingPanel | None = None
        self.uiWidget: Any = None

    def setup(self) -> None:
        """Called when the module is opened for the first time."""
        ScriptedLoadableModuleWidget.setup(self)
        self.uiWidget = slicer.util.loadUI(self.resourcePath("UI/RPRTraining.ui"))
        self.layout.addWidget(self.uiWidget)
        self.ui = slicer.util.childWidgetVariables(self.uiWidget)
        self.uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = self.makeLogic()
        self.panel = TrainingPanel(self.ui, self.logic)

    def onReload(self) -> None:
        """Reload of the developer mode: the worker ends first, and every file is read anew."""
        if self.logic is not None:
            self.logic.close()
        forgetOwnCode()
        ScriptedLoadableModuleWidget.onReload(self)

    def enter(self) -> None:
        """Look for interrupted trainings and new models, each time the module is opened."""
        if self.panel is not None:
            self.panel.findRuns()

    def cleanup(self) -> None:
        """Called when the application closes, and before the module is reloaded."""
        if self.panel is not None:
            self.panel.cleanup()
        if self.logic is not None:
            self.logic.close()
        if self.uiWidget is not None:
            # Reloading only hides it, and with its connections it would keep the panel alive.
            self.uiWidget.setMRMLScene(None)
            self.uiWidget.deleteLater()
            self.uiWidget = None

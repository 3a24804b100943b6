"""The module's widget in Slicer: makes the panel, follows the scene and the life of the module."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

from .logic import RPRLocalizationLogic
from .panel.panel import Panel
from .widgets.reloading import forgetOwnCode


class RPRLocalizationWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Slicer calls setup, enter, exit and cleanup; ``makeLogic`` can be replaced by a test."""

    makeLogic = staticmethod(RPRLocalizationLogic)

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: Any = None
        self.panel: Any = None
        self.uiWidget: Any = None

    def setup(self) -> None:
        """Called when the module is opened for the first time."""
        ScriptedLoadableModuleWidget.setup(self)
        self.uiWidget = slicer.util.loadUI(self.resourcePath("UI/RPRLocalization.ui"))
        self.layout.addWidget(self.uiWidget)
        self.ui = slicer.util.childWidgetVariables(self.uiWidget)
        self.uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = self.makeLogic()
        self.panel = Panel(self.ui, self.logic)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent):
            self.addObserver(scene, event, self.onSceneChanged)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """Called when the application closes, and before the module is reloaded."""
        self.removeObservers()
        if self.panel is not None:
            self.panel.cleanup()
        if self.logic is not None:
            self.logic.close()
        if self.uiWidget is not None:
            # Reloading only hides it: it would go on following the scene, and keep the panel alive.
            self.uiWidget.setMRMLScene(None)
            self.uiWidget.deleteLater()
            self.uiWidget = None

    def onReload(self) -> None:
        """Reload of the developer mode: the worker ends first, and every file is read anew."""
        self.logic.close()
        forgetOwnCode()
        ScriptedLoadableModuleWidget.onReload(self)

    def enter(self) -> None:
        """Called each time the module is opened."""
        self.panel.run.refresh()
        self.initializeParameterNode()

    def exit(self) -> None:
        """Called each time another module is opened. A run goes on; placing does not."""
        self.panel.leave()

    def initializeParameterNode(self) -> None:
        """Use the parameter node of the scene, made anew if need be."""
        self.panel.setParameters(self.logic.getParameterNode())

    def onSceneStartClose(self, caller: Any = None, event: Any = None) -> None:
        """The nodes of the run, and the parameter node, are about to go."""
        if self.logic.running:
            self.logic.job.abandon()
        self.panel.setParameters(None)

    def onSceneEndClose(self, caller: Any = None, event: Any = None) -> None:
        """An empty scene gets a parameter node at once: the module may be open."""
        self.initializeParameterNode()

    def onSceneEndImport(self, caller: Any = None, event: Any = None) -> None:
        """A scene was loaded: its parameter node holds the choices it was saved with."""
        self.initializeParameterNode()

    def onSceneChanged(self, caller: Any = None, event: Any = None) -> None:
        """Nodes come and go, often many at once: update after all of them."""
        self.panel.updateSoon()

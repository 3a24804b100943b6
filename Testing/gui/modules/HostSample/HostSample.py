"""A small scripted module for the host's own tests: only what a module typically does."""

import enum
import pathlib
from typing import Annotated

import slicer
import vtk
from slicer import vtkMRMLMarkupsFiducialNode, vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Choice, Default, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

GREETING = "first"


class HostSample(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Host Sample")
        parent.categories = ["Testing"]
        slicer.app.connect("startupCompleted()", self.onStartup)
        self.started = False

    def onStartup(self):
        self.started = True


class Speed(enum.Enum):
    SLOW = 0
    FAST = 1


@parameterNodeWrapper
class HostSampleParameterNode:
    volume: vtkMRMLScalarVolumeNode
    points: vtkMRMLMarkupsFiducialNode
    threshold: Annotated[float, WithinRange(-100, 100)] = 10
    count: Annotated[int, WithinRange(1, 9), Default(3)]
    invert: bool = False
    speed: Speed = Speed.SLOW
    kind: Annotated[str, Choice(["a", "b"])] = "a"
    label: str = ""
    folder: pathlib.Path
    names: list[str]


class HostSampleWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.greeting = GREETING
        self.log = []
        self._parameterNode = self._tag = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.uiWidget = slicer.util.loadUI(self.resourcePath("UI/HostSample.ui"))
        self.layout.addWidget(self.uiWidget)
        self.ui = slicer.util.childWidgetVariables(self.uiWidget)
        self.uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = HostSampleLogic()
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, lambda *_: self.setParameterNode(None))
        self.addObserver(
            scene,
            scene.EndCloseEvent,
            lambda *_: self.setParameterNode(self.logic.getParameterNode()),
        )
        self.addObserver(
            scene,
            scene.EndImportEvent,
            lambda *_: self.setParameterNode(self.logic.getParameterNode()),
        )
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, node):
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._tag)
        self._parameterNode = node
        if node is not None:
            self._tag = node.connectGui(self.ui)

    def enter(self):
        self.log.append("enter")

    def exit(self):
        self.log.append("exit")

    def cleanup(self):
        self.log.append("cleanup")
        self.removeObservers()
        self.setParameterNode(None)

    def onApply(self):
        with slicer.util.tryWithErrorDisplay(_("It failed."), waitCursor=True):
            self.logic.process(self._parameterNode.volume)


class HostSampleLogic(ScriptedLoadableModuleLogic):
    def getParameterNode(self):
        return HostSampleParameterNode(super().getParameterNode())

    def process(self, volume):
        if volume is None:
            raise ValueError("no volume")
        slicer.util.arrayFromVolume(volume)[:] += 1
        slicer.util.arrayFromVolumeModified(volume)
        volume.InvokeEvent(vtk.vtkCommand.UserEvent)

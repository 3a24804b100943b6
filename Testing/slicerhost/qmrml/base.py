"""qMRML and qSlicer widgets over the real scene: roots of panels; imports the larger ones."""

from __future__ import annotations

from typing import Any, ClassVar

from PySide6 import QtWidgets
from PySide6.QtCore import Signal

from ..qt.hostwidget import custom
from . import (
    checkablenodecombobox,  # noqa: F401
    markupsplacewidget,  # noqa: F401
    nodecombobox,  # noqa: F401
    segmentwidgets,  # noqa: F401
)


@custom
class qMRMLWidget(QtWidgets.QWidget):
    """A widget that hands its scene to others (usually by a connection in the .ui file)."""

    mrmlSceneChanged = Signal(object)
    cppSignals: ClassVar = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}
    _scene: Any = None

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


@custom
class qSlicerWidget(qMRMLWidget):
    """Slicer's base of panels."""

"""A view as a Qt widget: shows what it renders, and hands mouse and keys to its interactor."""

from __future__ import annotations

from typing import Any

import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from ..qt import failures
from ..qt.observations import Observations
from ..qt.pythonqt import markAsCpp

BUTTONS = {
    QtCore.Qt.MouseButton.LeftButton: "Left",
    QtCore.Qt.MouseButton.MiddleButton: "Middle",
    QtCore.Qt.MouseButton.RightButton: "Right",
}
RENDER_DELAY_MS = 20
SLIDER_STEPS = 1000


@markAsCpp
class ViewWidget(QtWidgets.QWidget):
    """Renders soon after something has changed, at most once per ``RENDER_DELAY_MS``."""

    _view: Any = None
    _timer: Any = None
    _image: Any = None
    _observations: Any = None

    def __init__(self, view: Any, *observed: Any) -> None:
        super().__init__()
        self._view = view
        self.setMouseTracking(True)
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(120, 120)
        self._timer = QtCore.QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(RENDER_DELAY_MS)
        self._timer.timeout.connect(lambda: self.renderNow())
        self._observations = Observations(self)
        self._observations.add(view.group, vtk.vtkCommand.UpdateEvent, lambda: self._timer.start())
        for changing in observed:
            self._observations.add(
                changing, vtk.vtkCommand.ModifiedEvent, lambda: self._timer.start()
            )

    def view(self) -> Any:
        return self._view

    def renderNow(self) -> None:
        """Render and show the picture."""
        try:
            self._image = self._view.image()
        except Exception as error:
            failures.recordException(error, "a view's rendering")
        self.update()

    def paintEvent(self, _event: Any) -> None:
        painter = QtGui.QPainter(self)
        if self._image is not None:
            painter.drawImage(0, 0, self._image)
        painter.end()

    def resizeEvent(self, _event: Any) -> None:
        self._view.resize(max(self.width, 1), max(self.height, 1))
        self._timer.start()

    # events

    def _send(self, event: Any, *names: str) -> None:
        modifiers, at = event.modifiers(), event.position()
        shift = bool(modifiers & QtCore.Qt.KeyboardModifier.ShiftModifier)
        control = bool(modifiers & QtCore.Qt.KeyboardModifier.ControlModifier)
        self._view.mouse(at.x(), self.height - 1 - at.y(), *names, shift=shift, control=control)
        self._timer.start()

    def enterEvent(self, event: Any) -> None:
        self._view.mouse(event.position().x(), self.height - 1 - event.position().y(), "EnterEvent")

    def leaveEvent(self, _event: Any) -> None:
        self._view.interactor().InvokeEvent("LeaveEvent")
        self._timer.start()

    def mouseMoveEvent(self, event: Any) -> None:
        self._send(event, "MouseMoveEvent")

    def mousePressEvent(self, event: Any) -> None:
        # VTK expects to have seen the mouse where it is pressed.
        self._send(
            event,
            "EnterEvent",
            "MouseMoveEvent",
            f"{BUTTONS.get(event.button(), 'Left')}ButtonPressEvent",
        )

    def mouseReleaseEvent(self, event: Any) -> None:
        self._send(event, f"{BUTTONS.get(event.button(), 'Left')}ButtonReleaseEvent")

    def wheelEvent(self, event: Any) -> None:
        self._send(
            event, f"MouseWheel{'Forward' if event.angleDelta().y() > 0 else 'Backward'}Event"
        )


@markAsCpp
class SlicePanel(QtWidgets.QWidget):
    """A slice view with its colored bar: name and offset."""

    _slider: Any = None
    _logic: Any = None
    _widget: Any = None
    _updating: bool = False
    _observations: Any = None

    def __init__(self, sliceWidget: Any) -> None:
        super().__init__()
        self._logic = sliceWidget.sliceLogic()
        node = sliceWidget.mrmlSliceNode()
        self._widget = ViewWidget(
            sliceWidget.sliceView(), self._logic, node, self._logic.GetSliceCompositeNode()
        )
        label = QtWidgets.QLabel(f" {sliceWidget.name[0]} ")
        red, green, blue = (int(255 * part) for part in node.GetLayoutColor())
        label.setStyleSheet(f"background-color: rgb({red}, {green}, {blue})")
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        self._slider.setRange(0, SLIDER_STEPS)
        self._slider.valueChanged.connect(lambda step: self._onSlider(step))
        layout = QtWidgets.QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        layout.addWidget(label, 0, 0)
        layout.addWidget(self._slider, 0, 1)
        layout.addWidget(self._widget, 1, 0, 1, 2)
        layout.setRowStretch(1, 1)
        self._observations = Observations(self)
        self._observations.add(node, vtk.vtkCommand.ModifiedEvent, lambda: self._showOffset())

    def viewWidget(self) -> ViewWidget:
        return self._widget

    def _range(self) -> tuple[float, float]:
        bounds = [0.0] * 6
        self._logic.GetLowestVolumeSliceBounds(bounds)
        return bounds[4], bounds[5]

    def _onSlider(self, step: int) -> None:
        low, high = self._range()
        if not self._updating:
            self._logic.SetSliceOffset(low + step / SLIDER_STEPS * (high - low))

    def _showOffset(self) -> None:
        low, high = self._range()
        if high > low:
            self._updating = True
            self._slider.setValue(
                round(SLIDER_STEPS * (self._logic.GetSliceOffset() - low) / (high - low))
            )
            self._updating = False

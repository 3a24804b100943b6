"""ctk's number widgets: spin boxes, sliders and ranges, and the qMRML widgets like them."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal

from ..qt.hostwidget import custom, forwarded, row, stored

STEPS = 1000


@custom
class ctkDoubleSpinBox(QtWidgets.QWidget):
    """A spin box; as in ctk it is a widget around one."""

    valueChanged = Signal(float)
    _spinBox: Any = None

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._spinBox = QtWidgets.QDoubleSpinBox()
        row(self, self._spinBox)
        self._spinBox.valueChanged.connect(self.valueChanged)

    value, setValue = forwarded(float, "_spinBox", "value")
    minimum, setMinimum = forwarded(float, "_spinBox", "minimum")
    maximum, setMaximum = forwarded(float, "_spinBox", "maximum")
    singleStep, setSingleStep = forwarded(float, "_spinBox", "singleStep")
    decimals, setDecimals = forwarded(int, "_spinBox", "decimals")
    suffix, setSuffix = forwarded(str, "_spinBox", "suffix")
    prefix, setPrefix = forwarded(str, "_spinBox", "prefix")

    def setRange(self, minimum: float, maximum: float) -> None:
        self._spinBox.setRange(minimum, maximum)


@custom
class ctkDoubleSlider(QtWidgets.QWidget):
    """A slider for decimal values."""

    valueChanged = Signal(float)
    _slider: Any = None
    minimum, setMinimum = stored(float, "minimum", 0.0, "_show")
    maximum, setMaximum = stored(float, "maximum", 99.0, "_show")
    singleStep, setSingleStep = stored(float, "singleStep", 1.0)
    _current: float = 0.0

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        self._slider.setRange(0, STEPS)
        row(self, self._slider)
        self._slider.sliderMoved.connect(
            lambda step: self.setValue(self.minimum + step / STEPS * (self.maximum - self.minimum))
        )

    def setRange(self, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum

    def setValue(self, value: float) -> None:
        value = float(min(max(value, self.minimum), self.maximum))
        if value != self._current:
            self._current = value
            self._show()
            self.valueChanged.emit(value)

    value = Property(float, lambda self: self._current, setValue)

    def _show(self) -> None:
        extent = self.maximum - self.minimum
        if extent > 0 and extent != float("inf"):
            self._slider.setValue(round(STEPS * (self._current - self.minimum) / extent))


@custom
class ctkSliderWidget(QtWidgets.QWidget):
    """A slider with a spin box."""

    valueChanged = Signal(float)
    _slider: Any = None
    _spinBox: Any = None

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._slider, self._spinBox = ctkDoubleSlider(), QtWidgets.QDoubleSpinBox()
        row(self, self._slider, self._spinBox)
        self._spinBox.valueChanged.connect(lambda value: self._onSpinBox(value))
        self._slider.valueChanged.connect(lambda value: self._spinBox.setValue(value))

    value, setValue = forwarded(float, "_spinBox", "value")
    minimum, setMinimum = forwarded(float, "_spinBox", "minimum")
    maximum, setMaximum = forwarded(float, "_spinBox", "maximum")
    singleStep, setSingleStep = forwarded(float, "_spinBox", "singleStep")
    decimals, setDecimals = forwarded(int, "_spinBox", "decimals")
    suffix, setSuffix = forwarded(str, "_spinBox", "suffix")
    pageStep, setPageStep = stored(float, "pageStep", 10.0)
    tracking, setTracking = stored(bool, "tracking", True)

    def setRange(self, minimum: float, maximum: float) -> None:
        self._spinBox.setRange(minimum, maximum)

    def _onSpinBox(self, value: float) -> None:
        blocked = self._slider.blockSignals(True)
        self._slider.setRange(self._spinBox.minimum, self._spinBox.maximum)
        self._slider.setValue(value)
        self._slider.blockSignals(blocked)
        self.valueChanged.emit(value)


@custom
class ctkDoubleRangeSlider(QtWidgets.QWidget):
    """Two values within a range."""

    valuesChanged = Signal(float, float)
    _spinBoxes: Any = None

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._spinBoxes = [QtWidgets.QDoubleSpinBox(), QtWidgets.QDoubleSpinBox()]
        row(self, *self._spinBoxes)
        for box in self._spinBoxes:
            box.valueChanged.connect(
                lambda _: self.valuesChanged.emit(self.minimumValue, self.maximumValue)
            )

    minimumValue = Property(
        float, lambda s: s._spinBoxes[0].value, lambda s, v: s._spinBoxes[0].setValue(v)
    )
    maximumValue = Property(
        float, lambda s: s._spinBoxes[1].value, lambda s, v: s._spinBoxes[1].setValue(v)
    )
    minimum = Property(
        float, lambda s: s._spinBoxes[0].minimum, lambda s, v: s.setRange(v, s.maximum)
    )
    maximum = Property(
        float, lambda s: s._spinBoxes[0].maximum, lambda s, v: s.setRange(s.minimum, v)
    )
    singleStep, setSingleStep = stored(float, "singleStep", 1.0)

    def setRange(self, minimum: float, maximum: float) -> None:
        for box in self._spinBoxes:
            box.setRange(minimum, maximum)

    def setValues(self, low: float, high: float) -> None:
        """Both at once, told once."""
        before = self.minimumValue, self.maximumValue
        blocked = self.blockSignals(True)
        self._spinBoxes[0].setValue(min(low, high))
        self._spinBoxes[1].setValue(max(low, high))
        self.blockSignals(blocked)
        if (self.minimumValue, self.maximumValue) != before:
            self.valuesChanged.emit(self.minimumValue, self.maximumValue)


@custom
class ctkRangeWidget(ctkDoubleRangeSlider):
    """A range slider with spin boxes."""

    valuesChanged = Signal(float, float)
    decimals, setDecimals = stored(int, "decimals", 2)
    suffix, setSuffix = stored(str, "suffix", "")


@custom
class qMRMLSliderWidget(ctkSliderWidget):
    """A slider that knows the scene's units (which are not applied here)."""

    quantity, setQuantity = stored(str, "quantity", "")
    _scene: Any = None

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene


@custom
class qMRMLSpinBox(ctkDoubleSpinBox):
    """A spin box that knows the scene's units (which are not applied here)."""

    quantity, setQuantity = stored(str, "quantity", "")
    _scene: Any = None

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene


@custom
class qMRMLRangeWidget(ctkRangeWidget):
    """A range that knows the scene's units (which are not applied here)."""

    quantity, setQuantity = stored(str, "quantity", "")
    _scene: Any = None

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene

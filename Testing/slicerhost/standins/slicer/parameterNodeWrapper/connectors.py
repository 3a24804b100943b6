"""Connections of parameters and widgets.

As in Slicer, a widget must be exactly of one of the known classes.
"""

from __future__ import annotations

import enum
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ctk
import qt
import slicer

from .validators import Choice, Maximum, Minimum, WithinRange
from .values import nodeKinds, split


@dataclass(frozen=True)
class Decimals:
    """Annotation: decimals of a spin box or slider."""

    value: int


@dataclass(frozen=True)
class SingleStep:
    """Annotation: step of a spin box or slider."""

    value: float


@dataclass
class Connector:
    """How to read, write and watch one widget."""

    signal: Any
    read: Callable[[], Any]
    write: Callable[[Any], None]
    slot: Callable[..., None] | None = None

    def onChanged(self, callback: Callable[[], None] | None) -> None:
        """Call this when the user changes the widget; None ends it."""
        if self.slot is not None:
            self.signal.disconnect(self.slot)
            self.slot = None
        if callback is not None and self.signal is not None:
            self.slot = lambda *_: callback()
            self.signal.connect(self.slot)


def connector(widget: Any, annotated: Any) -> Connector:
    """The connector of a widget for values of an (annotated) type.

    Raises RuntimeError if they do not fit.
    """
    kind, annotations = split(annotated)
    cls = type(widget)
    if kind is bool and cls in (
        qt.QCheckBox,
        ctk.ctkCheckBox,
        qt.QPushButton,
        ctk.ctkCheckablePushButton,
    ):
        signal = widget.stateChanged if cls in (qt.QCheckBox, ctk.ctkCheckBox) else widget.toggled
        return Connector(
            signal, lambda: widget.checked, lambda value: setattr(widget, "checked", value)
        )
    numbers = (
        qt.QSpinBox,
        qt.QSlider,
        qt.QDoubleSpinBox,
        ctk.ctkSliderWidget,
        ctk.ctkDoubleSpinBox,
        ctk.ctkDoubleSlider,
    )
    if kind in (int, float) and cls in (*numbers, slicer.qMRMLSliderWidget, slicer.qMRMLSpinBox):
        _limit(widget, annotations, kind)
        return Connector(
            widget.valueChanged,
            lambda: kind(widget.value),
            lambda v: setattr(widget, "value", kind(v)),
        )
    if cls in (qt.QComboBox, ctk.ctkComboBox):
        return _comboBox(widget, kind, annotations)
    if kind is str and cls in (qt.QLineEdit, qt.QLabel, qt.QTextEdit):
        return _text(widget, cls)
    if isinstance(kind, type) and issubclass(kind, pathlib.PurePath) and cls is ctk.ctkPathLineEdit:
        return Connector(
            widget.currentPathChanged,
            lambda: kind(widget.currentPath),
            lambda v: widget.setCurrentPath(str(v)),
        )
    if nodeKinds(kind) and cls is slicer.qMRMLNodeComboBox:
        widget.nodeTypes = [k().GetClassName() for k in nodeKinds(kind)]
        return Connector(widget.currentNodeChanged, widget.currentNode, widget.setCurrentNode)
    raise RuntimeError(f"a {cls.__name__} cannot show a parameter of type {kind}")


def _limit(widget: Any, annotations: tuple[Any, ...], kind: Any) -> None:
    isSpinBox = type(widget) is qt.QSpinBox
    low, high = (-(2**31), 2**31 - 1) if isSpinBox else (float("-inf"), float("inf"))
    for annotation in annotations:
        if isinstance(annotation, WithinRange):
            low, high = annotation.minimum, annotation.maximum
        elif isinstance(annotation, Minimum):
            low = annotation.minimum
        elif isinstance(annotation, Maximum):
            high = annotation.maximum
        elif isinstance(annotation, Decimals):
            widget.decimals = annotation.value
        elif isinstance(annotation, SingleStep):
            widget.singleStep = annotation.value
    if type(widget) in (qt.QSlider, ctk.ctkSliderWidget, slicer.qMRMLSliderWidget) and float(
        "inf"
    ) in (high, -low):
        raise RuntimeError("a slider needs a range: annotate the parameter with WithinRange")
    if kind is int and hasattr(widget, "decimals"):
        widget.decimals = 0
    widget.minimum, widget.maximum = low, high


def _comboBox(widget: Any, kind: Any, annotations: tuple[Any, ...]) -> Connector:
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        values = list(kind)
        labels = [value.label() if hasattr(kind, "label") else value.name for value in values]
    else:
        choices = [a.choices for a in annotations if isinstance(a, Choice)]
        if not choices:
            raise RuntimeError("a combo box needs an Enum, or a parameter annotated with Choice")
        values = list(choices[0])
        labels = [str(value) for value in values]
    widget.clear()
    for label in labels:
        widget.addItem(label)
    return Connector(
        widget.currentIndexChanged,
        lambda: values[widget.currentIndex],
        lambda value: setattr(widget, "currentIndex", values.index(value)),
    )


def _text(widget: Any, cls: type) -> Connector:
    if cls is qt.QTextEdit:
        return Connector(widget.textChanged, widget.toPlainText, widget.setPlainText)

    def write(value: str) -> None:
        # Setting the text moves the cursor to the end, also while the user types.
        if value != widget.text:
            widget.text = value

    return Connector(
        widget.textChanged if cls is qt.QLineEdit else None, lambda: widget.text, write
    )

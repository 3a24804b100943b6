"""The decorator ``parameterNodeWrapper``."""

from __future__ import annotations

import typing
from typing import Any

import qt
import slicer
import vtk

from .connectors import Connector, connector
from .validators import Default
from .values import split, valueOf

SlicerParameterNamePropertyName = "SlicerParameterName"
RESERVED = (
    "allParameters",
    "connectGui",
    "connectParametersToGui",
    "dataType",
    "default",
    "disconnectGui",
    "getValue",
)


class Parameter:
    """One parameter of a wrapped class: its type, how it is kept, and its default."""

    def __init__(self, cls: type, name: str, annotated: Any) -> None:
        self.name, self.annotated, self.value = name, annotated, valueOf(annotated)
        defaults = [a for a in split(annotated)[1] if isinstance(a, Default)]
        if hasattr(cls, name):
            self.default = Default(getattr(cls, name))
        else:
            self.default = defaults[0] if defaults else Default(generator=self.value.default)

    def read(self, node: Any) -> Any:
        if not self.value.isIn(node, self.name):
            self.value.write(node, self.name, self.default.value)
        return self.value.read(node, self.name)


def parameterNodeWrapper(cls: Any = None) -> Any:
    """Class decorator: annotated members become typed parameters of the constructor's node."""
    return _wrap(cls) if cls is not None else _wrap


def isParameterNodeWrapper(candidate: Any) -> bool:
    return getattr(candidate, "_is_parameter_node_wrapper", False)


def _wrap(cls: type) -> type:
    hints = typing.get_type_hints(cls, include_extras=True)
    for name in RESERVED:
        if name in hints or hasattr(cls, name):
            raise ValueError(f"'{name}' is a reserved name in a parameterNodeWrapper")
    parameters = {name: Parameter(cls, name, annotated) for name, annotated in hints.items()}
    members = {name: _property(parameter) for name, parameter in parameters.items()}
    members |= {
        "allParameters": parameters,
        "_is_parameter_node_wrapper": True,
        "__doc__": cls.__doc__,
    }
    return type(
        cls.__name__,
        (cls, _Wrapper),
        members | {"__init__": _Wrapper.__init__, "__module__": cls.__module__},
    )


def _property(parameter: Parameter) -> property:
    def write(self: Any, value: Any) -> None:
        with slicer.util.NodeModify(self.parameterNode):
            parameter.value.write(self.parameterNode, parameter.name, value)

    return property(lambda self: parameter.read(self.parameterNode), write)


class _Wrapper:
    """What every wrapped class can do."""

    allParameters: typing.ClassVar[dict[str, Parameter]] = {}

    def __init__(self, parameterNode: Any, prefix: str | None = None) -> None:
        if prefix:
            raise NotImplementedError("the stand-in for parameterNodeWrapper knows no prefix")
        self.parameterNode = parameterNode
        self._guis: dict[int, tuple[dict[str, Connector], int]] = {}
        self._updating, self._nextTag = False, 0
        for parameter in self.allParameters.values():
            parameter.read(parameterNode)

    def getValue(self, name: str) -> Any:
        self._parameter(name)
        return getattr(self, name)

    def setValue(self, name: str, value: Any) -> None:
        self._parameter(name)
        setattr(self, name, value)

    def default(self, name: str) -> Default:
        return self._parameter(name).default

    def dataType(self, name: str) -> Any:
        return self._parameter(name).annotated

    def _parameter(self, name: str) -> Parameter:
        if name not in self.allParameters:
            raise ValueError(f"there is no parameter {name!r}, but {sorted(self.allParameters)}")
        return self.allParameters[name]

    # widgets

    def connectGui(self, gui: Any) -> int:
        """Connect all widgets that have the property SlicerParameterName.

        Returns the tag for ``disconnectGui``.
        """
        isWidget = getattr(gui, "isWidgetType", lambda: False)()
        widgets = gui.findChildren(qt.QWidget) if isWidget else vars(gui).values()
        named = {widget.property(SlicerParameterNamePropertyName): widget for widget in widgets}
        return self.connectParametersToGui({name: widget for name, widget in named.items() if name})

    def connectParametersToGui(self, mapping: dict[str, Any]) -> int:
        connectors = {
            name: connector(widget, self.dataType(name)) for name, widget in mapping.items()
        }
        for name, connected in connectors.items():
            connected.write(self.getValue(name))
            connected.onChanged(self._whenChanged(name, connected))
        observer = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._updateGui())
        self._nextTag += 1
        self._guis[self._nextTag] = (connectors, observer)
        return self._nextTag

    def disconnectGui(self, tag: int) -> None:
        if tag in self._guis:
            connectors, observer = self._guis.pop(tag)
            for connected in connectors.values():
                connected.onChanged(None)
            self.RemoveObserver(observer)

    def _whenChanged(self, name: str, connected: Connector) -> Any:
        def changed() -> None:
            if not self._updating:
                self.setValue(name, connected.read())

        return changed

    def _updateGui(self) -> None:
        if self._updating:
            return
        self._updating = True
        try:
            for connectors, _ in list(self._guis.values()):
                for name, connected in connectors.items():
                    connected.write(self.getValue(name))
        finally:
            self._updating = False

    # what a MRML node can do

    def AddObserver(self, event: Any, callback: Any, priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def StartModify(self) -> int:
        return self.parameterNode.StartModify()

    def EndModify(self, wasModified: int) -> None:
        self.parameterNode.EndModify(wasModified)

    def Modified(self) -> None:
        self.parameterNode.Modified()


def findChildWidgetForParameter(widget: Any, parameter: str) -> Any:
    """The descendant whose property SlicerParameterName is this parameter, or None."""
    children = widget.findChildren(qt.QWidget)
    return next(
        (w for w in children if w.property(SlicerParameterNamePropertyName) == parameter), None
    )

"""How values of one type are kept in a parameter node: as text parameters and node references."""

from __future__ import annotations

import enum
import pathlib
import typing
from collections.abc import Callable, Iterable, MutableSequence
from typing import Any

import slicer

from .validators import Validator


class TextValue:
    """A value that is one text parameter."""

    def __init__(
        self,
        kind: Any,
        accepted: Any,
        default: Any,
        fromText: Callable[[str], Any],
        toText: Any = str,
    ) -> None:
        self.kind, self.accepted, self._default = kind, accepted, default
        self._fromText, self._toText = fromText, toText

    def default(self) -> Any:
        return self._default

    def check(self, value: Any) -> None:
        if not isinstance(value, self.accepted):
            raise TypeError(f"{value!r} is not of type {self.kind}")

    def isIn(self, node: Any, name: str) -> bool:
        return bool(node.HasParameter(name))

    def read(self, node: Any, name: str) -> Any:
        return self._fromText(node.GetParameter(name))

    def write(self, node: Any, name: str, value: Any) -> None:
        self.check(value)
        node.SetParameter(name, self._toText(value))

    def remove(self, node: Any, name: str) -> None:
        node.UnsetParameter(name)


class NodeValue:
    """A MRML node or None: a node reference, and an empty parameter that tells of a value."""

    def __init__(self, kinds: tuple[type, ...]) -> None:
        self.kinds = kinds

    def default(self) -> Any:
        return None

    def isIn(self, node: Any, name: str) -> bool:
        return bool(node.HasParameter(name))

    def read(self, node: Any, name: str) -> Any:
        return node.GetNodeReference(name)

    def write(self, node: Any, name: str, value: Any) -> None:
        if value is not None and not isinstance(value, self.kinds):
            raise TypeError(f"{value.GetClassName()} is none of {self.kinds}")
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def remove(self, node: Any, name: str) -> None:
        node.UnsetParameter(name)
        node.RemoveNodeReferenceIDs(name)


class ListValue:
    """A list of values of one type."""

    def __init__(self, element: Any) -> None:
        self.element = element

    def default(self) -> list[Any]:
        return []

    def isIn(self, node: Any, name: str) -> bool:
        return bool(node.HasParameter(f"{name}.len"))

    def _length(self, node: Any, name: str) -> int:
        return int(node.GetParameter(f"{name}.len")) if self.isIn(node, name) else 0

    def read(self, node: Any, name: str) -> StoredList:
        values = [
            self.element.read(node, f"{name}.{index}") for index in range(self._length(node, name))
        ]
        return StoredList(values, lambda changed: self.write(node, name, changed))

    def write(self, node: Any, name: str, values: Iterable[Any]) -> None:
        values = list(values)
        with slicer.util.NodeModify(node):
            before = self._length(node, name)
            for index, value in enumerate(values):
                self.element.write(node, f"{name}.{index}", value)
            for index in range(len(values), before):
                self.element.remove(node, f"{name}.{index}")
            node.SetParameter(f"{name}.len", str(len(values)))

    def remove(self, node: Any, name: str) -> None:
        self.write(node, name, [])
        node.UnsetParameter(f"{name}.len")


class StoredList(MutableSequence):
    """A list that writes itself to the node when it is changed."""

    def __init__(self, values: list[Any], save: Callable[[list[Any]], None]) -> None:
        self._values, self._save = values, save

    def __getitem__(self, index: Any) -> Any:
        return self._values[index]

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        return self._values == (other._values if isinstance(other, StoredList) else other)

    def __repr__(self) -> str:
        return repr(self._values)

    def __setitem__(self, index: Any, value: Any) -> None:
        self._values[index] = value
        self._save(self._values)

    def __delitem__(self, index: Any) -> None:
        del self._values[index]
        self._save(self._values)

    def insert(self, index: int, value: Any) -> None:
        self._values.insert(index, value)
        self._save(self._values)


class Validated:
    """A value with conditions."""

    def __init__(self, inner: Any, validators: list[Validator]) -> None:
        self.inner, self.validators = inner, validators

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def write(self, node: Any, name: str, value: Any) -> None:
        for validator in self.validators:
            validator.validate(value)
        self.inner.write(node, name, value)


def split(annotated: Any) -> tuple[Any, tuple[Any, ...]]:
    """The type and the annotations of ``Annotated[type, ...]``, or of a bare type."""
    inner = typing.get_args(typing.Annotated[annotated, None])
    return inner[0], inner[1:-1]


def nodeKinds(kind: Any) -> tuple[type, ...]:
    """The node classes of a node type or of a union of them with None; () for anything else."""
    kinds = [k for k in typing.get_args(kind) or (kind,) if k is not type(None)]
    areNodes = all(isinstance(k, type) and issubclass(k, slicer.vtkMRMLNode) for k in kinds)
    return tuple(kinds) if areNodes else ()


def valueOf(annotated: Any) -> Any:
    """The way to keep values of this (annotated) type.

    Raises TypeError for types that the stand-in does not know.
    """
    kind, annotations = split(annotated)
    validators = [a for a in annotations if isinstance(a, Validator)]
    return Validated(_plain(kind), validators) if validators else _plain(kind)


def _plain(kind: Any) -> Any:
    if kind is list or typing.get_origin(kind) is list:
        return ListValue(valueOf((typing.get_args(kind) or (str,))[0]))
    if nodeKinds(kind):
        return NodeValue(nodeKinds(kind))
    if kind in _TEXTS:
        return TextValue(*_TEXTS[kind])
    if isinstance(kind, type) and issubclass(kind, (pathlib.PurePath, enum.Enum)):
        return _pathOrEnum(kind)
    raise TypeError(f"the stand-in for parameterNodeWrapper knows no parameters of type {kind}")


def _pathOrEnum(kind: Any) -> TextValue:
    if issubclass(kind, pathlib.PurePath):
        return TextValue(kind, kind, kind(), kind)
    first = next(iter(kind))
    return TextValue(kind, kind, first, lambda name: kind[name], lambda value: value.name)


# Types that are kept as their text: (type, accepted types, default, from a text).
_TEXTS: dict[Any, tuple[Any, ...]] = {
    bool: (bool, bool, False, lambda text: text == "True"),
    int: (int, int, 0, int),
    float: (float, (int, float), 0, float),
    str: (str, str, "", str),
}

"""PythonQt's semantics on PySide6's classes.

Slicer's Python sees Qt through PythonQt, which differs from PySide6: properties are attributes
(``w.text``, not ``w.text()``), signals are connected by their C++ signature
(``w.connect("clicked(bool)", f)``), arguments that ``f`` does not take are cut off, and new
attributes cannot be made on C++ objects. The classes of PySide6 themselves are changed (once per
process), because module code and Slicer's own Python compare types (``type(w) == qt.QCheckBox``).
"""

from __future__ import annotations

import contextlib
import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from . import failures

Slot = Callable[..., Any]
# Shiboken calls these as virtual methods of the instance, so they must stay methods.
VIRTUAL = {"sizeHint", "minimumSizeHint"}
# In PythonQt a function of the class and a property of its instances.
STATIC = {"singleShot"}
_changed: set[type] = set()
# Own properties and all signals of Qt's classes; noted once, because PySide6 later takes some meta
# objects for deleted.
_properties: dict[type, set[str]] = {}
_signals: dict[type, set[str]] = {}
_missing = object()


def dress() -> dict[str, Any]:
    """Change the classes of PySide6 and return the names of the ``qt`` module.

    Only the first call changes anything.
    """
    names: dict[str, Any] = {}
    for module in (QtCore, QtGui, QtWidgets):
        # dir(), not vars(): PySide6 makes its classes when they are first asked for
        names.update(
            {
                name: getattr(module, name)
                for name in dir(module)
                if name.startswith(("Q", "qVersion"))
            }
        )
    if not _changed:
        _addSingleShot()
        classes = {
            c for c in names.values() if isinstance(c, type) and issubclass(c, QtCore.QObject)
        }
        for cls in sorted(classes, key=lambda c: len(c.__mro__)):
            _dressClass(cls)
        _changed.update(classes)
        _addObjectMethods(classes)
    return names


def _dressClass(cls: type) -> None:
    metaObject = cls.__dict__.get("staticMetaObject")
    if metaObject is None:
        return
    methods = (metaObject.method(index) for index in range(metaObject.methodCount()))
    isSignal = QtCore.QMetaMethod.MethodType.Signal
    _signals[cls] = {_text(m.methodSignature()) for m in methods if m.methodType() == isSignal}
    for index in range(metaObject.propertyOffset(), metaObject.propertyCount()):
        description = metaObject.property(index)
        _properties.setdefault(cls, set()).add(description.name())
        if description.name() not in VIRTUAL:
            setattr(cls, description.name(), _attribute(cls, description))


def _attribute(cls: type, description: QtCore.QMetaProperty) -> property:
    """A Python property over a Qt property's getter and setter (or, without, QObject.property)."""
    name = description.name()
    capital = name[0].upper() + name[1:]
    getter = getattr(cls, name, None) if name not in STATIC else None
    if not callable(getter):
        getter = getattr(cls, f"is{capital}", None)
    setter = getattr(cls, f"set{capital}", None)

    def read(self: Any) -> Any:
        return getter(self) if getter else QtCore.QObject.property(self, name)

    def write(self: Any, value: Any) -> None:
        if setter:
            setter(self, value)
        else:
            QtCore.QObject.setProperty(self, name, value)

    kind = _PropertyOrFunction if name in STATIC else property
    found = kind(read, write if description.isWritable() else None)
    if isinstance(found, _PropertyOrFunction):
        found.function = cls.__dict__[name].__func__
    return found


class _PropertyOrFunction(property):
    """A property for instances and a function for the class, such as QTimer.singleShot."""

    function: Slot | None = None

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self.function if instance is None else super().__get__(instance, owner)


_singleShots: set[QtCore.QTimer] = set()


def _addSingleShot() -> None:
    """PySide6's own singleShot needs PySide6's connect, which is replaced here."""

    def singleShot(milliseconds: int, receiver: Slot) -> None:
        timer = QtCore.QTimer()
        slot = adapted(receiver, "singleShot()")

        def fire() -> None:
            _singleShots.discard(timer)
            slot()

        timer.setSingleShot(True)
        timer.timeout.connect(fire)
        _singleShots.add(timer)
        timer.start(milliseconds)

    QtCore.QTimer.singleShot = staticmethod(singleShot)


def stopSingleShots() -> None:
    """Forget the single shots that have not fired."""
    for timer in _singleShots:
        timer.stop()
    _singleShots.clear()


def isQtProperty(cls: type, name: str) -> bool:
    """Whether a class (Qt's or the host's) has this Qt property."""
    return any(
        name in _properties.get(b, ()) or isinstance(vars(b).get(name), QtCore.Property)
        for b in cls.__mro__
    )


def _addObjectMethods(classes: set[type]) -> None:
    base = QtCore.QObject
    base.name = property(
        lambda self: self.objectName, lambda self, value: self.setObjectName(value)
    )
    base.className = lambda self: type(self).__name__
    base.delete = lambda self: self.deleteLater()
    base.connect, base.disconnect = connect, disconnect
    findChildren, findChild = base.findChildren, base.findChild
    base.findChildren = lambda self, kind=base, name=None: findChildren(self, _class(kind), name)
    base.findChild = lambda self, kind=base, name=None: findChild(self, _class(kind), name)
    _letMenusTakeAnything()
    for cls in classes:
        if "__getattribute__" in cls.__dict__:
            cls.__getattribute__ = _withConnect(cls.__dict__["__getattribute__"])
        if cls is base or "__setattr__" in cls.__dict__:
            cls.__setattr__ = _strictSetattr


def _letMenusTakeAnything() -> None:
    """PythonQt makes a text of any object where one is expected: Slicer relies on it."""
    initialize = QtWidgets.QMenu.__init__

    def __init__(self: Any, *arguments: Any) -> None:
        usable = not arguments or isinstance(arguments[0], (str, QtWidgets.QWidget, type(None)))
        initialize(self, *(arguments if usable else (str(arguments[0]), *arguments[1:])))

    QtWidgets.QMenu.__init__ = __init__


def _class(kind: type | str) -> type:
    """PythonQt's findChildren also takes the name of a class."""
    return (
        getattr(QtWidgets, kind, None) or getattr(QtCore, kind) if isinstance(kind, str) else kind
    )


def _withConnect(original: Slot) -> Slot:
    """Shiboken serves connect and disconnect before it looks at the class: they are served here."""

    def __getattribute__(self: Any, name: str) -> Any:
        if name == "connect":
            return types.MethodType(connect, self)
        if name == "disconnect":
            return types.MethodType(disconnect, self)
        return original(self, name)

    return __getattribute__


def _strictSetattr(self: Any, name: str, value: Any) -> None:
    """PythonQt refuses new attributes on C++ objects, but not of classes derived in Python."""
    cls = type(self)
    found = inspect.getattr_static(cls, name, _missing)
    # PySide6 itself keeps a signal in the object when it is first used.
    allowed = (
        isinstance(value, QtCore.SignalInstance) or not _isCpp(cls) or _isSettable(name, found)
    )
    if not allowed:
        if _ignoring:
            return
        raise AttributeError(
            f"Attribute '{name}' does not exist on {cls.__name__}, or cannot be set, "
            "and creation of new attributes "
            "on C++ objects is not allowed"
        )
    if isinstance(found, QtCore.Property):
        found.fset(self, value)
    elif hasattr(type(found), "__set__"):
        type(found).__set__(found, self, value)
    else:
        self.__dict__[name] = value


_ignoring: list[bool] = []


@contextlib.contextmanager
def ignoringNewAttributes() -> Iterator[None]:
    """Drop new attributes of C++ objects: PySide6's QUiLoader makes child widgets attributes."""
    _ignoring.append(True)
    try:
        yield
    finally:
        _ignoring.pop()


def _isCpp(cls: type) -> bool:
    """Whether a class is C++ in Slicer: one of Qt's, or one that the host wrote in its place."""
    return cls in _changed or cls.__dict__.get("isHostWidget", False)


def _isSettable(name: str, found: Any) -> bool:
    if found is _missing:
        return False
    if isinstance(found, QtCore.Property):
        return found.fset is not None
    # The host's own widgets declare their internal attributes in the class, with a leading
    # underscore.
    return name.startswith("_") or hasattr(type(found), "__set__")


def markAsCpp(cls: type) -> type:
    """Class decorator: the class stands for one of C++, so no module can add attributes to it."""
    cls.isHostWidget = True  # type: ignore[attr-defined]
    return cls


def signalOf(sender: QtCore.QObject, signature: str) -> QtCore.SignalInstance:
    """The signal with this C++ signature, such as ``clicked(bool)``.

    Raises ValueError if there is none. PythonQt would print a warning and go on; a failure is
    recorded here.
    """
    normalized = _text(QtCore.QMetaObject.normalizedSignature(signature))
    declared = getattr(type(sender), "cppSignals", {})
    name = declared.get(normalized) or (
        normalized.partition("(")[0] if normalized in _signatures(sender) else ""
    )
    if not name:
        message = f"{type(sender).__name__} has no signal {signature}"
        failures.record(message)
        raise ValueError(message)
    signal = getattr(sender, name)
    types = normalized.partition("(")[2].rpartition(")")[0]
    overloads = [s for s in _signatures(sender) if s.startswith(f"{name}(")]
    # Without a choice PySide6 would take the overload with the fewest arguments.
    return signal[types] if types and normalized in overloads and len(overloads) > 1 else signal


def _signatures(sender: QtCore.QObject) -> set[str]:
    """The C++ signatures of all signals: those of Qt's class and those of Python classes."""
    found: set[str] = set()
    for cls in type(sender).__mro__:
        if cls in _signals:
            return found | _signals[cls]
        found |= {str(member) for member in vars(cls).values() if isinstance(member, QtCore.Signal)}
    return found


def _text(value: Any) -> str:
    return (
        value
        if isinstance(value, str)
        else bytes(value.data() if hasattr(value, "data") else value).decode()
    )


def adapted(receiver: Slot, signature: str) -> Slot:
    """``receiver`` with surplus arguments cut off, as in PythonQt, and its exceptions recorded.

    PythonQt looks at the code of plain functions and methods only; any other callable gets all
    arguments.
    """
    inside = signature.partition("(")[2].rpartition(")")[0]
    count = len([part for part in inside.split(",") if part.strip()])
    code = getattr(getattr(receiver, "__func__", receiver), "__code__", None)
    if isinstance(code, types.CodeType) and not code.co_flags & inspect.CO_VARARGS:
        count = min(count, code.co_argcount - (1 if inspect.ismethod(receiver) else 0))

    def call(*arguments: Any) -> None:
        try:
            receiver(*arguments[:count])
        except Exception as error:
            failures.recordException(error, f"the slot of {signature}")

    return call


_connections: dict[int, list[tuple[str, Slot, Slot]]] = {}


def connect(self: QtCore.QObject, signature: str, receiver: Slot) -> bool:
    """PythonQt's ``sender.connect(signature, callable)``.

    Raises ValueError for a signal that does not exist.
    """
    if not callable(receiver):
        raise TypeError(f"{receiver!r} cannot be called")
    slot = adapted(receiver, signature)
    signalOf(self, signature).connect(slot)
    if id(self) not in _connections:
        key = id(self)
        _connections[key] = []
        self.destroyed.connect(lambda *_: _connections.pop(key, None))
    _connections[id(self)].append((signature, receiver, slot))
    return True


def disconnect(
    self: QtCore.QObject, signature: str | None = None, receiver: Slot | None = None
) -> bool:
    """PythonQt's ``sender.disconnect(signature, callable)``; True if anything was connected."""
    connections = _connections.get(id(self), [])
    ended = [c for c in connections if signature in (None, c[0]) and receiver in (None, c[1])]
    for connection in ended:
        signalOf(self, connection[0]).disconnect(connection[2])
        connections.remove(connection)
    if signature is not None and not ended:
        signalOf(self, signature)
    return bool(ended)

"""Small helpers of the panel over Qt's widgets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import qt
from slicer.i18n import tr as _


@contextmanager
def signalsBlocked(widget: Any) -> Iterator[None]:
    """Change a widget without signals: the change comes from the scene, not from the user."""
    before = widget.blockSignals(True)
    try:
        yield
    finally:
        widget.blockSignals(before)


def tableItem(
    text: str, tooltip: str = "", editable: bool = False, checked: bool | None = None
) -> Any:
    """A cell; with a check box unless ``checked`` is None."""
    item = qt.QTableWidgetItem(text)
    flags = qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable
    if editable:
        flags |= qt.Qt.ItemIsEditable
    if checked is not None:
        flags |= qt.Qt.ItemIsUserCheckable
        item.setCheckState(qt.Qt.Checked if checked else qt.Qt.Unchecked)
    item.setFlags(flags)
    item.setToolTip(tooltip)
    return item


def connectPath(field: Any, changed: Callable[[str], None]) -> None:
    """Call ``changed(path)`` for every change of a ctkPathLineEdit, its emptying included.

    ctk tells a path only if it is acceptable, and an empty one is not: then the field tells only
    that its input has become unacceptable.
    """
    field.connect("currentPathChanged(QString)", changed)
    field.connect("validInputChanged(bool)", lambda valid: None if valid else changed(""))


def breakable(text: str) -> str:
    """A text whose long words, such as paths, may be wrapped: they would be cut off in a label."""
    return re.sub(r"\S{25,}", lambda word: re.sub(r"([/\\_.-])", "\\1\u200b", word.group()), text)


def color(rgb: Sequence[float], fraction: float = 1.0) -> Any:
    """Return the QColor of (r, g, b), each 0 to 1.

    ``fraction`` below 1 mixes it with white, for backgrounds behind dark text.
    """
    return qt.QColor(*(round(255 * (1.0 - fraction + fraction * channel)) for channel in rgb))


def duration(seconds: float | None) -> str:
    """Return ``45 s``, ``12 min``, ``3 h 20 min`` or ``2 days 4 h``; an empty text for None.

    No more digits than an estimate deserves: seconds below 90 s only.
    """
    if seconds is None:
        return ""
    if seconds < 90:
        return _("{seconds} s").format(seconds=max(0, round(seconds)))
    minutes = round(seconds / 60)
    if minutes < 60:
        return _("{minutes} min").format(minutes=minutes)
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return _("{hours} h {minutes} min").format(hours=hours, minutes=minutes)
    days, hours = divmod(hours, 24)
    return _("{days} days {hours} h").format(days=days, hours=hours)


def defaultDevices() -> list[tuple[str, str]]:
    """What every computer has; of graphics cards only the worker knows, once it has looked."""
    return [_automatic(), ("cpu", _("CPU"))]


def detectedDevices(devices: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What the worker has found: its objects {name, title}."""
    return [_automatic(), *((str(device["name"]), str(device["title"])) for device in devices)]


def fillDevices(selector: Any, devices: list[tuple[str, str]], remembered: str) -> None:
    """Offer the devices, and a remembered graphics card although nobody has looked for it yet."""
    titles = dict(devices)
    titles.setdefault(remembered, remembered)
    with signalsBlocked(selector):
        selector.clear()
        for name, title in titles.items():
            selector.addItem(title, name)
        selector.currentIndex = selector.findData(remembered)


def _automatic() -> tuple[str, str]:
    return "auto", _("Automatic")

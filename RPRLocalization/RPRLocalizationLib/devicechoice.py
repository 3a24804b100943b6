"""The list of devices that either panel offers: (name, title) pairs, name as the worker takes it."""

from __future__ import annotations

from slicer.i18n import tr as _

from .uihelpers import silent


def usualDevices() -> list[tuple[str, str]]:
    """What every computer has; graphics cards are known only when the worker has looked for them."""
    return [_automatic(), ("cpu", _("CPU"))]


def foundDevices(devices) -> list[tuple[str, str]]:
    """What the worker has found: its objects {name, title}."""
    return [_automatic(), *((str(device["name"]), str(device["title"])) for device in devices)]


def fillDevices(selector, devices, remembered: str) -> None:
    """Offer the devices; a remembered graphics card is listed although nobody has looked for it yet."""
    known = dict(devices)
    known.setdefault(remembered, remembered)
    with silent(selector):
        selector.clear()
        for name, title in known.items():
            selector.addItem(title, name)
        selector.currentIndex = selector.findData(remembered)


def _automatic() -> tuple[str, str]:
    return "auto", _("Automatic")

"""Numbers as people read them."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _


def duration(seconds: float | None) -> str:
    """``45 s``, ``12 min``, ``3 h 20 min`` or ``2 days 4 h``: as exact as an estimate can be.

    Empty for None.
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


def millimetres(value: float | None) -> str:
    """``7.3 mm``; a dash for None."""
    return "-" if value is None else f"{value:.1f} mm"


def lengths(values: Any, digits: int = 2) -> str:
    """``0.98 x 0.98 x 2.5``; empty for no values."""
    return " x ".join(f"{round(value, digits):g}" for value in values or ())


def counted(count: int, one: str, many: str) -> str:
    """``1 CT`` or ``5 CTs``: both texts hold ``{count}``."""
    return (one if count == 1 else many).format(count=count)

"""Stand-in for slicer.i18n: no translation."""

from __future__ import annotations


def tr(text: str) -> str:
    """The text itself."""
    if not isinstance(text, str):
        raise TypeError(f"only texts can be translated, not {text!r}")
    return text


def translate(_context: str, text: str) -> str:
    """The text itself."""
    return tr(text)

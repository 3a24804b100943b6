"""Units of length that image files declare."""

from __future__ import annotations

from ..errors import InputError

_MM = {
    "mm": 1.0,
    "millimeter": 1.0,
    "millimetre": 1.0,
    "cm": 10.0,
    "centimeter": 10.0,
    "centimetre": 10.0,
    "m": 1000.0,
    "meter": 1000.0,
    "metre": 1000.0,
    "um": 0.001,
    "µm": 0.001,
    "micron": 0.001,
    "micrometer": 0.001,
    "micrometre": 0.001,
}


def in_mm(unit: str) -> tuple[float, str]:
    """Return the length of ``unit`` in mm, and a note for the user unless it is mm or not told.

    Raises:
        InputError: a unit that is not known.

    Example:
        >>> in_mm("cm")
        (10.0, 'the file gives its lengths in cm: turned into mm')
    """
    name = unit.strip().lower().rstrip("s") if len(unit.strip()) > 2 else unit.strip().lower()
    if not name:
        return 1.0, ""
    factor = _MM.get(name)
    if factor is None:
        raise InputError(f"its lengths are in {unit.strip()!r}, which is not known: save it in mm")
    if factor == 1.0:
        return factor, ""
    return factor, f"the file gives its lengths in {unit.strip()}: turned into mm"

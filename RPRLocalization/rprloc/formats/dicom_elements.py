"""Is a DICOM file whole? Its elements are walked from the first to the last, without their values.

GDCM looks for minutes in some damaged files, and reads voxels that an inserted byte has moved.
"""

from __future__ import annotations

from typing import Final, Literal

Wholeness = Literal["whole", "longer", "damaged"]

_MARK, _MARK_AT = b"DICM", 128
_TRANSFER_SYNTAX = (0x0002, 0x0010)
_IMPLICIT = "1.2.840.10008.1.2"
#: Pixels lie in the file as they are.
_NATIVE = (_IMPLICIT, "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
#: Other byte order, or packed as a whole: left to GDCM.
_NOT_WALKED = ("1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
_SHORT = {
    *(b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT"),
    *(b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"),
}
_UNDEFINED: Final = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
_DEEPEST = 16


class _DamagedError(Exception):
    """The elements do not fit together."""


def wholeness(data: bytes) -> Wholeness:
    """Tell whether the elements of a file follow one another up to its end.

    ``longer``: zeros follow, which some writers leave, but a byte too many moves voxels too. Files
    without the mark of DICOM, in big endian or deflated are not judged: ``whole``.
    """
    if data[_MARK_AT : _MARK_AT + len(_MARK)] != _MARK:
        return "whole"
    try:
        at, syntax = _meta(data, _MARK_AT + len(_MARK))
        if syntax in _NOT_WALKED:
            return "whole"
        walker = _Walker(data, explicit=syntax != _IMPLICIT)
        end = walker.elements(at, len(data), depth=0)
    except _DamagedError:
        return "damaged"
    return "longer" if end < len(data) else "whole"


def is_native(data: bytes) -> bool:
    """Tell whether the pixels of a file are stored as they are, not packed."""
    if data[_MARK_AT : _MARK_AT + len(_MARK)] != _MARK:
        return True
    try:
        return _meta(data, _MARK_AT + len(_MARK))[1] in _NATIVE
    except _DamagedError:
        return False


def _meta(data: bytes, at: int) -> tuple[int, str]:
    """Walk the meta information; returns where the data set begins, and its transfer syntax."""
    walker, syntax = _Walker(data, explicit=True), _IMPLICIT
    while walker.tag(at)[0] == 0x0002:
        tag, begin, length, _ = walker.head(at)
        at = begin + length
        if length == _UNDEFINED or at > len(data):
            raise _DamagedError
        if tag == _TRANSFER_SYNTAX:
            syntax = data[begin:at].decode("ascii", errors="replace").strip("\0 ")
    return at, syntax


class _Walker:
    """Walks the elements of one file, little endian."""

    def __init__(self, data: bytes, explicit: bool) -> None:
        self.data, self.explicit = data, explicit

    def tag(self, at: int) -> tuple[int, int]:
        """Group and element of the tag at a byte."""
        if at + 4 > len(self.data):
            raise _DamagedError
        group = int.from_bytes(self.data[at : at + 2], "little")
        return group, int.from_bytes(self.data[at + 2 : at + 4], "little")

    def head(self, at: int) -> tuple[tuple[int, int], int, int, bytes]:
        """Tag, begin and length of the value, and its representation, of the element at a byte."""
        tag = self.tag(at)
        if tag[0] == 0xFFFE or not self.explicit:
            kind, begin, width = b"", at + 8, 4
        else:
            kind = self.data[at + 4 : at + 6]
            if kind not in _LONG and kind not in _SHORT:
                raise _DamagedError
            begin, width = (at + 12, 4) if kind in _LONG else (at + 8, 2)
        if begin > len(self.data):
            raise _DamagedError
        return tag, begin, int.from_bytes(self.data[begin - width : begin], "little"), kind

    def elements(self, at: int, end: int, depth: int) -> int:
        """Walk elements up to ``end``, or to the end of an item; returns where it is."""
        before = (0, 0)
        while at < end:
            if depth == 0 and not any(self.data[at:end]):
                return at
            tag, begin, length, kind = self.head(at)
            if tag == _ITEM_END and depth:
                return begin
            # Without representations nothing but the order tells a tag from other bytes.
            if tag[0] == 0xFFFE or (tag <= before and not self.explicit):
                raise _DamagedError
            before = tag
            at = self._value(begin, length, kind, depth)
            if at > end:
                raise _DamagedError
        return at

    def _value(self, begin: int, length: int, kind: bytes, depth: int) -> int:
        """Pass over a value; returns where the next element begins."""
        if length == _UNDEFINED:
            # The items of a sequence of unknown representation have none either (PS3.5, 6.2.2).
            walker = _Walker(self.data, explicit=False) if kind == b"UN" else self
            return walker.items(begin, len(self.data), depth + 1)
        end = begin + length
        if end > len(self.data):
            raise _DamagedError
        return end

    def items(self, at: int, end: int, depth: int) -> int:
        """Walk the items of a sequence, or the fragments of packed pixels, up to its end."""
        if depth > _DEEPEST:
            raise _DamagedError
        while at < end:
            tag, begin, length, _ = self.head(at)
            if tag == _SEQUENCE_END:
                return begin
            if tag != _ITEM:
                raise _DamagedError
            at = self.elements(begin, end, depth) if length == _UNDEFINED else begin + length
            if at > end:
                raise _DamagedError
        return at

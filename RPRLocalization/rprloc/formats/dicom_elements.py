"""Is a DICOM file whole? Its elements are walked from the first to the last, without their values.

GDCM looks for minutes in some damaged files, reads voxels that an inserted byte has moved, and
fills voxels that are missing with 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Literal

Wholeness = Literal["whole", "longer", "damaged"]

_MARK, _MARK_AT = b"DICM", 128
_TRANSFER_SYNTAX = (0x0002, 0x0010)
_IMPLICIT = "1.2.840.10008.1.2"
#: Other byte order, or packed as a whole: left to GDCM.
_NOT_WALKED = ("1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
_SHORT = {
    *(b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT"),
    *(b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"),
}
_PIXEL_DATA = (0x7FE0, 0x0010)
_UNDEFINED: Final = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
_DEEPEST = 16
#: Most headers end before this byte.
_START = 16384


class _DamagedError(Exception):
    """The elements do not fit together."""


@dataclass(frozen=True)
class Layout:
    """What the elements of a file tell before their values are read.

    Attributes:
        wholeness: whether they follow one another up to the end of the file. ``longer``: zeros
            follow, which some writers leave, but a byte too many moves voxels too.
        pixel_bytes: of the pixel data; None where the file does not tell (packed pixels, whose
            decoder finds what is missing, or elements that are not walked here).
    """

    wholeness: Wholeness
    pixel_bytes: int | None = None


def layout(path: Path) -> Layout:
    """Walk the elements of a file; only their heads are read. Raises OSError.

    Files in big endian or deflated are not judged: ``whole``, and so are those without the mark of
    DICOM whose elements make no sense.
    """
    with open(path, "rb") as stream:
        data = _Bytes(stream)
        marked = data[_MARK_AT : _MARK_AT + len(_MARK)] == _MARK
        try:
            at, syntax = _meta(data, _MARK_AT + len(_MARK)) if marked else (0, _IMPLICIT)
            if syntax in _NOT_WALKED:
                return Layout("whole")
            explicit = syntax != _IMPLICIT if marked else data[4:6] in _SHORT | _LONG
            walker = _Walker(data, explicit)
            end = walker.elements(at, len(data), depth=0)
        except _DamagedError:
            return Layout("damaged" if marked else "whole")
        return Layout("longer" if end < len(data) else "whole", walker.pixel_bytes)


def _meta(data: _Bytes, at: int) -> tuple[int, str]:
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


class _Bytes:
    """Slices of a file as of bytes, read when they are asked for: voxels never are."""

    def __init__(self, stream: BinaryIO) -> None:
        self.start = stream.read(_START)
        self.stream = stream
        self.size = stream.seek(0, 2)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, part: slice) -> bytes:
        begin, end, _ = part.indices(self.size)
        if end <= len(self.start):
            return self.start[begin:end]
        self.stream.seek(begin)
        return self.stream.read(max(0, end - begin))


class _Walker:
    """Walks the elements of one file, little endian."""

    def __init__(self, data: _Bytes, explicit: bool) -> None:
        self.data, self.explicit = data, explicit
        self.pixel_bytes: int | None = None

    def tag(self, at: int) -> tuple[int, int]:
        """Group and element of the tag at a byte."""
        if at + 4 > len(self.data):
            raise _DamagedError
        tag = self.data[at : at + 4]
        return int.from_bytes(tag[:2], "little"), int.from_bytes(tag[2:], "little")

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
        """Walk elements with growing tags up to ``end``, or to the end of an item; where it is."""
        before = (0, 0)
        while at < end:
            if depth == 0 and not any(self.data[at : min(end, at + 4)]):
                # No element has the tag 0, 0: only zeros may follow.
                if any(self.data[at:end]):
                    raise _DamagedError
                return at
            tag, begin, length, kind = self.head(at)
            if tag == _ITEM_END and depth:
                return begin
            if tag <= before or tag[0] == 0xFFFE:
                raise _DamagedError
            before = tag
            if depth == 0 and tag == _PIXEL_DATA and length != _UNDEFINED:
                self.pixel_bytes = length
            at = self._value(begin, length, kind, depth)
            if at > end:
                raise _DamagedError
        return at

    def _value(self, begin: int, length: int, kind: bytes, depth: int) -> int:
        """Pass over a value; returns where the next element begins."""
        if length == _UNDEFINED and kind == b"UN":
            # Private sequences of unknown kind are implicit, whatever the file is (CP-246).
            return _Walker(self.data, explicit=False)._value(begin, length, b"SQ", depth)
        if length == _UNDEFINED:
            return self._items(begin, len(self.data), depth + 1, packed=kind in (b"OB", b"OW"))
        end = begin + length
        if end > len(self.data):
            raise _DamagedError
        if kind == b"SQ":
            self._items(begin, end, depth + 1, packed=False)
        return end

    def _items(self, at: int, end: int, depth: int, packed: bool) -> int:
        """Walk the items of a sequence, or the fragments of packed pixels, up to its end."""
        if depth > _DEEPEST:
            raise _DamagedError
        while at < end:
            tag, begin, length, _ = self.head(at)
            if tag == _SEQUENCE_END:
                return begin
            if tag != _ITEM:
                raise _DamagedError
            if length == _UNDEFINED:
                at = self.elements(begin, end, depth)
                continue
            at = begin + length
            if at > end:
                raise _DamagedError
            if not packed and self.elements(begin, at, depth) != at:
                raise _DamagedError
        return at

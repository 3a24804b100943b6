"""Ways in which a file gets damaged, as data that hypothesis draws and shrinks."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Literal

from hypothesis import strategies as st

#: Numbers that break readers: limits, no numbers, and lengths that no file has.
INTERESTING = (0.0, -1.0, 1.0, 2.0, 1e-30, 1e30, float("nan"), float("inf"), float("-inf"), 352.0)
WORDS = ("nan", "inf", "-1", "0", "1e308", "99999999999999999999", "", "x", "null", "1.5", "[]")
INTEGERS = (0, 1, -1, 2, 7, 127, 255, 32767, -32768, 2**31 - 1, -(2**31))
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class Damage:
    """One change.

    Attributes:
        kind: what is done.
        at: where, as a share of the header (or of the number of numbers in it).
        value: byte, length, or index into the tables above.
        anywhere: the share is one of the whole file, not of its header.
    """

    kind: Literal["byte", "cut", "insert", "delete", "number", "float", "integer", "line"]
    at: float
    value: int
    anywhere: bool = False

    def apply(self, data: bytes, header: int) -> bytes:
        """Return the damaged file; ``header``: length of its header."""
        length = len(data) if self.anywhere else min(header, len(data))
        place = min(int(self.at * length), max(0, length - 1))
        byte = bytes([self.value % 256])
        if self.kind in ("line", "number"):
            return self._text(data, length)
        if self.kind in ("float", "integer"):
            return self._packed(data, place - place % 2)
        return {
            "byte": data[:place] + byte + data[place + 1 :],
            "cut": data[:place],
            "insert": data[:place] + byte * (1 + self.value % 9) + data[place:],
            "delete": data[:place] + data[place + 1 + self.value % 16 :],
        }[self.kind]

    def _text(self, data: bytes, length: int) -> bytes:
        if self.kind == "line":
            return self._without_line(data, length)
        return self._other_number(data, length)

    def _without_line(self, data: bytes, length: int) -> bytes:
        lines = data[:length].splitlines(keepends=True)
        if not lines:
            return data
        del lines[min(int(self.at * len(lines)), len(lines) - 1)]
        return b"".join(lines) + data[length:]

    def _other_number(self, data: bytes, length: int) -> bytes:
        found = list(_NUMBER.finditer(data[:length]))
        if not found:
            return data
        match = found[min(int(self.at * len(found)), len(found) - 1)]
        word = WORDS[self.value % len(WORDS)].encode()
        return data[: match.start()] + word + data[match.end() :]

    def _packed(self, data: bytes, place: int) -> bytes:
        if self.kind == "float":
            bits = struct.pack("<f", INTERESTING[self.value % len(INTERESTING)])
        else:
            number = INTEGERS[self.value % len(INTEGERS)]
            bits = struct.pack("<i", number) if self.value % 2 else struct.pack("<q", number)[:2]
        return data[:place] + bits + data[place + len(bits) :]


def damages() -> st.SearchStrategy[list[Damage]]:
    """One to three changes, mostly in the header."""
    kinds = ("byte", "cut", "insert", "delete", "number", "float", "integer", "line")
    one = st.builds(
        Damage,
        st.sampled_from(kinds),
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 1023),
        st.sampled_from([False, False, False, True]),
    )
    return st.lists(one, min_size=1, max_size=3)


def damaged(data: bytes, header: int, changes: list[Damage]) -> bytes:
    """Apply changes in turn."""
    for change in changes:
        data = change.apply(data, header)
    return data

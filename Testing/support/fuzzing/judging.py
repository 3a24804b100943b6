"""One damaged file through its reader: refused, accepted, or a defect of the reader."""

from __future__ import annotations

import signal
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from rprloc.errors import RprLocError
from support.fuzzing.damage import Damage, damaged
from support.fuzzing.originals import Original

#: Of the processor's time: a busy machine is no reader that hangs.
LONGEST_S = 5.0
REFUSED, ACCEPTED = "refused", "accepted"


class DefectError(AssertionError):
    """A reader did what no file may make it do."""


def judge(original: Original, changes: list[Damage]) -> str:
    """Damage the file, read it, and put it back: ``refused`` or ``accepted``.

    Raises DefectError for any exception but the project's own, for an error of several lines, for
    more than 5 s, and for an answer that differs without a note.
    """
    if original.bare:
        changes = [replace(change, anywhere=False) for change in changes]
    data = damaged(original.data, original.header, changes)
    original.path.write_bytes(data)
    started = time.process_time()
    try:
        with _alarm(), warnings.catch_warnings():
            # A number that overflows was not checked before it was used.
            warnings.simplefilter("error", RuntimeWarning)
            answer = original.read(original.opened)
    except RprLocError as error:
        if "\n" in str(error):
            raise DefectError(f"{original.kind}: several lines: {error}") from error
        return REFUSED
    except BaseException as error:
        raise DefectError(f"{original.kind}: {traceback.format_exc(limit=-3)}") from error
    finally:
        original.path.write_bytes(original.data)
    spent = time.process_time() - started
    if spent > LONGEST_S:
        raise DefectError(f"{original.kind}: took {spent:.1f} s")
    difference = "" if data == original.data else original.differs(original.answer, answer)
    if difference:
        raise DefectError(f"{original.kind}: {difference}, and no note")
    return ACCEPTED


@contextmanager
def _alarm() -> Iterator[None]:
    """Interrupt a reader that computes without end, where the system has such an alarm."""

    def ring(*_: Any) -> None:
        raise TimeoutError(f"no answer within {LONGEST_S:g} s")

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, LONGEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)

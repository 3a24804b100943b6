"""Warnings of the engine for the user, without those of the libraries it uses."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

ENGINE = "rprloc"


@contextmanager
def own_warnings(show: Callable[[str], None], packages: Iterable[str] = ()) -> Iterator[None]:
    """In the block, hand each warning of the engine to ``show`` as one line, and drop all others.

    Args:
        show: takes the text of a warning.
        packages: packages whose warnings count as the engine's too, such as those of plug-ins.
    """

    def show_line(message: Warning | str, *_: Any, **__: Any) -> None:
        show(" ".join(str(message).split()))

    modules = "|".join(re.escape(name) for name in (ENGINE, *packages))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning, module=rf"(?:{modules})\b")
        warnings.showwarning = show_line
        yield

"""Optional packages: which extra brings them, said before any work begins."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from .errors import InputError

COHORT = "cohort"
DICOM = "dicom"


def installation(extra: str) -> str:
    """How to get an extra of the package, the end of a sentence."""
    return f"pip install 'rprloc[{extra}]' (in the checkout: pip install '.[{extra}]')"


def require(extra: str, modules: Sequence[str], what: str) -> None:
    """Raise InputError if one of the modules is missing; it names the extra that brings them.

    Args:
        extra: of the package ``rprloc``.
        modules: that are looked for, and not imported.
        what: for which they are needed, the beginning of the sentence.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"{what} needs {', '.join(missing)}: {installation(extra)}")

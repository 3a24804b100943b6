"""Optional packages: which extra brings them, said before any work begins."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from .errors import InputError

COHORT = "cohort"
DICOM = "dicom"


def require(extra: str, modules: Sequence[str], what: str) -> None:
    """Raise InputError if one of the modules is missing; it names the extra that brings them.

    Args:
        extra: of the package ``rprloc``.
        modules: that are looked for, and not imported.
        what: for which they are needed, the beginning of the sentence.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"{what} needs {', '.join(missing)}: pip install 'rprloc[{extra}]' "
            f"(in the checkout: pip install '.[{extra}]')"
        )

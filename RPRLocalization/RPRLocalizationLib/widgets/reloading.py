"""What "Reload" of Slicer's developer mode needs: it executes only the module's own file anew."""

from __future__ import annotations

import importlib
import sys

OWN_PACKAGES = ("RPRLocalizationLib", "RPRTrainingLib", "rprloc", "rprtrain")


def forgetOwnCode() -> None:
    """Let the next import read every file of this extension anew.

    What is running goes on with the code that it has.
    """
    for name in [name for name in sys.modules if name.partition(".")[0] in OWN_PACKAGES]:
        del sys.modules[name]
    importlib.invalidate_caches()

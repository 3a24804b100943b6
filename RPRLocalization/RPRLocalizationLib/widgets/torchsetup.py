"""PyTorch through Slicer's PyTorch extension: nothing is downloaded without a yes."""

from __future__ import annotations

import importlib.util

import qt
import slicer
from slicer.i18n import tr as _

from rprloc.errors import InputError

from .section import showingErrors

OLDEST_TORCH = ">=2.4"


def torchInstalled() -> bool:
    """True if PyTorch can be found. It is not imported here: only the worker process loads it."""
    importlib.invalidate_caches()
    return importlib.util.find_spec("torch") is not None


def extensionInstalled() -> bool:
    """True if Slicer's PyTorch extension is there."""
    return importlib.util.find_spec("PyTorchUtils") is not None


def ensureTorch() -> bool:
    """True if PyTorch is there or was installed now; asks the user first, in one dialog."""
    return torchInstalled() or (_asksAndAgrees() and _install())


def _asksAndAgrees() -> bool:
    box = qt.QMessageBox(slicer.util.mainWindow())
    box.setWindowTitle(_("PyTorch is needed"))
    if not extensionInstalled():
        box.setIcon(qt.QMessageBox.Information)
        box.setText(
            _(
                "Localization needs PyTorch, and PyTorch is installed by Slicer's PyTorch"
                " extension, which is missing.\n\nOpen the Extensions Manager, install the"
                " extension PyTorch, restart Slicer and try again."
            )
        )
        box.exec_()
        return False
    box.setIcon(qt.QMessageBox.Question)
    box.setText(
        _(
            "Localization needs PyTorch, which is not installed yet.\n\nInstall it now through the"
            " PyTorch extension? This downloads between 0.2 and 3 GB, once, and takes some minutes."
            " Your images stay on this computer."
        )
    )
    install = box.addButton(_("Install PyTorch"), qt.QMessageBox.AcceptRole)
    box.addButton(qt.QMessageBox.Cancel)
    box.exec_()
    return box.clickedButton() == install


def _install() -> bool:
    import PyTorchUtils

    with showingErrors(_("PyTorch could not be installed.")), slicer.util.WaitCursor():
        try:
            PyTorchUtils.PyTorchUtilsLogic().installTorch(
                askConfirmation=False, torchVersionRequirement=OLDEST_TORCH
            )
        except Exception as error:
            # pip, the network and the extension fail in many ways; all of them are for the user to
            # read.
            raise InputError(str(error)) from error
        if not torchInstalled():
            raise InputError(
                _(
                    "The PyTorch extension did not install it: see its messages, then restart"
                    " Slicer."
                )
            )
    return torchInstalled()

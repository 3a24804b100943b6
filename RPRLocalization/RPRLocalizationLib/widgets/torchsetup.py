"""PyTorch through Slicer's PyTorch extension: nothing is downloaded without a yes."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from rprloc.errors import InputError

from . import torchversion
from .section import showingErrors

_installing: list[bool] = []


def torchInstalled() -> bool:
    """True if a PyTorch that can be used is installed."""
    version = torchversion.installedVersion()
    return bool(version) and not torchversion.whyUnfit(version)


def extensionInstalled() -> bool:
    """True if Slicer's PyTorch extension is there."""
    return importlib.util.find_spec("PyTorchUtils") is not None


def busyReason() -> str:
    """Why nothing that needs PyTorch can begin now, for the user; empty if it can."""
    return _("PyTorch is being installed: wait for its end.") if _installing else ""


def ensureTorch(onInstalling: Callable[[], None] = lambda: None) -> bool:
    """True if PyTorch is there or was installed now; asks the user first, in one dialog.

    onInstalling: called when its installation begins, see ``busyReason``. Slicer goes on handling
    clicks while it installs: a second call meanwhile is refused.
    """
    if _installing:
        return False
    if torchInstalled():
        return True
    return _canInstall() and _asksAndAgrees() and _install(onInstalling)


def _canInstall() -> bool:
    """False, with the reason shown, where installing would not help."""
    version = torchversion.installedVersion()
    unfit = torchversion.whyUnfit(version) if version else ""
    if unfit:
        # The extension does not replace an installed PyTorch.
        unfit = _(
            "{reason}\n\nOpen the module PyTorch Utils, press Uninstall PyTorch, restart Slicer and"
            " try again."
        ).format(reason=unfit)
    return _isFine(torchversion.whyUnserved() or unfit) and _isFine(_noExtension())


def _noExtension() -> str:
    if extensionInstalled():
        return ""
    return _(
        "Localization needs PyTorch, and PyTorch is installed by Slicer's PyTorch"
        " extension, which is missing.\n\nOpen the Extensions Manager, install the"
        " extension PyTorch, restart Slicer and try again."
    )


def _isFine(problem: str) -> bool:
    if problem:
        box = _messageBox(problem)
        box.setIcon(qt.QMessageBox.Information)
        box.exec_()
    return not problem


def _messageBox(text: str) -> Any:
    box = qt.QMessageBox(slicer.util.mainWindow())
    box.setWindowTitle(_("PyTorch is needed"))
    box.setText(text)
    return box


def _asksAndAgrees() -> bool:
    box = _messageBox(
        _(
            "Localization needs PyTorch, which is not installed yet.\n\nInstall it now through the"
            " PyTorch extension? This downloads between 0.2 and 3 GB, once, and takes some minutes."
            " Your images stay on this computer."
        )
    )
    box.setIcon(qt.QMessageBox.Question)
    install = box.addButton(_("Install PyTorch"), qt.QMessageBox.AcceptRole)
    box.addButton(qt.QMessageBox.Cancel)
    box.exec_()
    return box.clickedButton() == install


def _install(onInstalling: Callable[[], None]) -> bool:
    import PyTorchUtils

    with showingErrors(_("PyTorch could not be installed.")), slicer.util.WaitCursor():
        _installing.append(True)
        onInstalling()
        try:
            PyTorchUtils.PyTorchUtilsLogic().installTorch(
                askConfirmation=False, torchVersionRequirement=torchversion.REQUIREMENT
            )
        except Exception as error:
            # pip, the network and the extension fail in many ways; all of them are for the user to
            # read.
            raise InputError(str(error)) from error
        finally:
            _installing.clear()
        if not torchInstalled():
            raise InputError(
                _(
                    "The PyTorch extension did not install it: see its messages, then restart"
                    " Slicer."
                )
            )
    return torchInstalled()

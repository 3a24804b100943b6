"""The PyTorch extension and torch, present or absent: a stand-in for ``PyTorchUtils``.

It installs nothing. Parameters and results are those of SlicerPyTorch's PyTorchUtilsLogic.
"""

from __future__ import annotations

import importlib.machinery
import sys
import types
from collections.abc import Callable
from typing import Any

from PySide6 import QtWidgets

NAME = "PyTorchUtils"


class PyTorchExtension:
    """What this Slicer has of PyTorch, and what was asked of the extension (``installations``)."""

    def __init__(self) -> None:
        self.succeeds = True
        # Called while it installs, as Slicer handles events then.
        self.whileInstalling: Callable[[], None] = lambda: None
        self.installations: list[dict[str, Any]] = []
        self._hidden: list[types.ModuleType | None] = []

    def set(self, extension: bool, torch: bool = True, succeeds: bool = True) -> None:
        """Whether the extension and torch can be imported.

        succeeds: what installing torch does.

            torch is hidden from this process only: a worker process finds what its Python has.
        """
        self.succeeds = succeeds
        self.whileInstalling = lambda: None
        self.installations.clear()
        sys.modules.pop(NAME, None)
        if extension:
            module = types.ModuleType(NAME)
            module.__spec__ = importlib.machinery.ModuleSpec(NAME, None)
            module.PyTorchUtilsLogic = lambda: PyTorchUtilsLogic(self)  # type: ignore[attr-defined]
            sys.modules[NAME] = module
        self.showTorch() if torch else self.hideTorch()

    def reset(self) -> None:
        """No extension; torch as this Python has it."""
        self.set(extension=False)

    def hideTorch(self) -> None:
        """Let imports of torch fail as if it were not installed."""
        if not self._hidden:
            self._hidden.append(sys.modules.get("torch"))
            sys.modules["torch"] = None  # type: ignore[assignment]

    def showTorch(self) -> None:
        """End ``hideTorch``."""
        if self._hidden:
            before = self._hidden.pop()
            del sys.modules["torch"]
            if before is not None:
                sys.modules["torch"] = before

    @property
    def torchHidden(self) -> bool:
        return bool(self._hidden)


class PyTorchUtilsLogic:
    """What module code calls."""

    def __init__(self, extension: PyTorchExtension) -> None:
        self._extension = extension

    def torchInstalled(self) -> bool:
        return not self._extension.torchHidden

    def installTorch(
        self,
        askConfirmation: bool = False,
        forceComputationBackend: str | None = None,
        torchVersionRequirement: str | None = None,
        torchvisionVersionRequirement: str | None = None,
    ) -> Any:
        """Remember the call; None (as after a refusal) unless it is to succeed."""
        self._extension.installations.append(
            {
                "askConfirmation": askConfirmation,
                "forceComputationBackend": forceComputationBackend,
                "torchVersionRequirement": torchVersionRequirement,
                "torchvisionVersionRequirement": torchvisionVersionRequirement,
            }
        )
        QtWidgets.QApplication.processEvents()
        self._extension.whileInstalling()
        if not self._extension.succeeds:
            return None
        self._extension.showTorch()
        return types.ModuleType("torch")

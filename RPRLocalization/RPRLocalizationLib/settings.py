"""What the application remembers for the user, beside the scene: QSettings under ``RPRLoc/``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer

from rprloc.model.card import AUTO_MODEL

GROUP = "RPRLoc"
DEFAULT_DEVICE = "auto"


class Settings:
    """Model, device and folders chosen once."""

    def __init__(self, settings: Any = None) -> None:
        self._settings = qt.QSettings() if settings is None else settings

    def _get(self, name: str, default: str) -> str:
        value = self._settings.value(f"{GROUP}/{name}", default)
        return value if isinstance(value, str) else default

    def _set(self, name: str, value: str) -> None:
        self._settings.setValue(f"{GROUP}/{name}", value)

    @property
    def model(self) -> str:
        """Folder or name of the model; ``AUTO_MODEL`` for the bundled ones."""
        return self._get("Model", AUTO_MODEL) or AUTO_MODEL

    @model.setter
    def model(self, value: str) -> None:
        self._set("Model", value)

    @property
    def device(self) -> str:
        """``auto``, ``cpu`` or ``cuda:N``."""
        return self._get("Device", DEFAULT_DEVICE) or DEFAULT_DEVICE

    @device.setter
    def device(self, value: str) -> None:
        self._set("Device", value)

    @property
    def modelFolder(self) -> str:
        """Folder with the user's own models; empty if there is none."""
        return self._get("ModelFolder", "")

    @modelFolder.setter
    def modelFolder(self, value: str) -> None:
        self._set("ModelFolder", value)

    @property
    def templateFolder(self) -> str:
        """Folder of the user's templates; empty for the default one."""
        return self._get("TemplateFolder", "")

    @templateFolder.setter
    def templateFolder(self, value: str) -> None:
        self._set("TemplateFolder", value)

    @property
    def lastFolder(self) -> str:
        """Where a file dialog was used last."""
        return self._get("LastFolder", "")

    @lastFolder.setter
    def lastFolder(self, value: str) -> None:
        self._set("LastFolder", value)


def userFolder() -> Path:
    """This extension's folder beside the application's settings."""
    return Path(slicer.app.slicerUserSettingsFilePath).parent / GROUP

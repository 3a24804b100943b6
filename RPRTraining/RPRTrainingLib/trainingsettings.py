"""What the application remembers of the training panel alone."""

from __future__ import annotations

from pathlib import Path

from RPRLocalizationLib.settings import Settings, userFolder

from rprloc.model.card import CARD_NAME

DEFAULT_PRESET = "from-data"


def _remembered(name: str, default: str = "") -> property:
    """A text kept under ``RPRLoc/Training<name>``."""
    return property(
        lambda self: self._get(f"Training{name}", default),
        lambda self, value: self._set(f"Training{name}", value),
    )


class TrainingSettings(Settings):
    """The fields of the panel, as texts; device and model folder are the localization panel's.

    ctsFolder: CTs to learn from. chosenRunsFolder: where trainings are kept, empty for the default.
    minutes: length of the training, empty for the full one.
    """

    ctsFolder = _remembered("CTsFolder")
    chosenRunsFolder = _remembered("RunsFolder")
    name = _remembered("Name")
    bodyRegion = _remembered("BodyRegion")
    preset = _remembered("Preset", DEFAULT_PRESET)
    minutes = _remembered("Minutes")
    source = _remembered("Source")
    licence = _remembered("Licence")
    targets = _remembered("Targets")

    @property
    def runsFolder(self) -> Path:
        """Folder that holds a folder per training."""
        return Path(self.chosenRunsFolder) if self.chosenRunsFolder else userFolder() / "Trainings"

    @property
    def installFolder(self) -> Path:
        """Folder that models are installed into, and that the localization panel lists."""
        chosen = Path(self.modelFolder) if self.modelFolder else userFolder() / "Models"
        # The localization panel accepts the folder of one model as well; others go beside that one.
        return chosen.parent if (chosen / CARD_NAME).is_file() else chosen

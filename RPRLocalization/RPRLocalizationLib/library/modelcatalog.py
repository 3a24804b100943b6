"""The models that can be chosen, read from their cards alone: no torch.

Checksums are verified by the worker, when it loads a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _

from rprloc.errors import ModelError
from rprloc.model.card import CARD_NAME, parse_card

BUNDLED = Path(__file__).resolve().parents[2] / "Resources" / "Models"
#: A card is a few kilobytes; a large file of that name is something else, and is not read.
MAX_CARD_BYTES = 10_000_000


@dataclass(frozen=True)
class ModelInfo:
    """A model's card in short; ``identity`` is what templates made with it carry."""

    folder: Path
    name: str
    version: str
    bodyRegion: str
    identity: dict[str, str]

    @property
    def key(self) -> str:
        """How settings and requests name it: the folder's name if bundled, else its path."""
        return self.folder.name if self.folder.parent == BUNDLED else str(self.folder)

    @property
    def title(self) -> str:
        """The model for people."""
        return _("{name} {version}: {region}").format(
            name=self.name, version=self.version, region=self.bodyRegion
        )


def listModels(userFolder: str = "") -> list[ModelInfo]:
    """The bundled models, then those of the user's folder; that folder may itself be one model."""
    parents = [BUNDLED, *([Path(userFolder)] if userFolder else [])]
    cards = [
        card
        for parent in parents
        for card in [*parent.glob(CARD_NAME), *sorted(parent.glob(f"*/{CARD_NAME}"))]
    ]
    return [info for info in map(readCard, cards) if info is not None]


def readCard(path: Path) -> ModelInfo | None:
    """The card in short; None for a file that is no model card (the folder may hold anything)."""
    try:
        if path.stat().st_size > MAX_CARD_BYTES:
            return None
        card = parse_card(path.read_text(encoding="utf-8"), str(path))
    except (OSError, ValueError, ModelError):
        return None
    return ModelInfo(path.parent, card.name, card.version, card.body_region, card.identity)

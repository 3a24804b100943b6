"""The models that can be chosen, read from their cards alone: no torch.

The worker verifies checksums on loading.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _

BUNDLED = Path(__file__).resolve().parents[2] / "Resources" / "Models"
CARD_NAME = "model.json"
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
    """The bundled models, then those of the user's folder (or that folder itself, if it is one model)."""
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
        card = json.loads(path.read_text(encoding="utf-8"))
        if card["schema"] != "rprloc-model":
            return None
        identity = {"name": str(card["name"]), "version": str(card["version"])}
        for stage in ("coarse", "fine"):
            if card["stages"].get(stage):
                identity[f"{stage}_sha256"] = str(card["stages"][stage]["sha256"])
        return ModelInfo(
            path.parent, identity["name"], identity["version"], str(card["body_region"]), identity
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None

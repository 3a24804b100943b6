"""The model card (``model.json``).

What a model is, what it was trained on, and the checksums of its files.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ModelError
from ..seal import broken_seal
from .network_config import PnetConfig
from .settings import ConfidenceThresholds, SearchSettings

CARD_NAME = "model.json"
SCHEMA = "rprloc-model"
SCHEMA_VERSION = 2
#: Version 1 had no ``search`` and no ``confidence``.
READABLE_VERSIONS = (1, SCHEMA_VERSION)
FIELDS = (
    *("schema", "schema_version", "name", "version", "body_region", "stages", "search"),
    *("confidence", "training"),
)
DEFAULT_MODEL = "han-ct"
#: In place of a model's name: the bundled ones, each for what it is surest of.
AUTO_MODEL = "auto"
_FILE = re.compile(r"^[A-Za-z0-9_-]+\.pt$")
_SHA256 = re.compile(r"^[0-9a-f]{64}$")


_STAGE_KEYS = frozenset(
    {
        "file",
        "sha256",
        "spacing_mm",
        "r_mm",
        "stride_voxels",
        "window_voxels",
        "receptive_field_voxels",
        "receptive_field_mm",
        "network",
    }
)


@dataclass(frozen=True)
class StageCard:
    """One network of a model.

    Attributes:
        file: name of its TorchScript file, beside the card. sha256: of that file.
        spacing_mm: voxel edge of the isotropic grid it reads. range_mm: ``r`` of Eq. 2.
        net: its shape; stride, window (alignment) and receptive field follow from it.
        facts: everything else the card says of the stage (steps, seed, metrics), for people.
    """

    file: str
    sha256: str
    spacing_mm: float
    range_mm: float
    net: PnetConfig
    facts: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return the stage's JSON object, with the figures that follow from its shape spelt out."""
        return {
            "file": self.file,
            "sha256": self.sha256,
            "spacing_mm": self.spacing_mm,
            "r_mm": self.range_mm,
            "stride_voxels": self.net.stride,
            "window_voxels": self.net.alignment,
            "receptive_field_voxels": self.net.receptive_field,
            "receptive_field_mm": self.net.receptive_field * self.spacing_mm,
            "network": self.net.to_json(),
            **self.facts,
        }

    @classmethod
    def from_json(cls, data: Any, where: str) -> StageCard:
        """Inverse of ``to_json``.

        ``where`` begins the message of the ModelError raised for impossible values.
        """
        card = cls(
            file=str(data["file"]),
            sha256=str(data["sha256"]),
            spacing_mm=float(data["spacing_mm"]),
            range_mm=float(data["r_mm"]),
            net=PnetConfig.from_json(data["network"]),
            facts={k: v for k, v in data.items() if k not in _STAGE_KEYS},
        )

        numbers = (card.spacing_mm, card.range_mm)
        if not all(math.isfinite(n) and n > 0 for n in numbers):
            raise ModelError(f"{where}: the card names an impossible spacing or range")
        if not _FILE.match(card.file) or not _SHA256.match(card.sha256):
            raise ModelError(f"{where}: the card names an impossible file or checksum")
        return card


@dataclass(frozen=True)
class ModelCard:
    """A model's card; ``identity`` is what a template records of the model it belongs to."""

    name: str
    version: str
    body_region: str
    coarse: StageCard
    fine: StageCard | None
    training: dict[str, Any]
    search: SearchSettings = field(default_factory=SearchSettings)
    confidence: ConfidenceThresholds = field(default_factory=ConfidenceThresholds)

    @property
    def identity(self) -> dict[str, str]:
        """Name, version and the SHA-256 of the network files."""
        found = {"name": self.name, "version": self.version, "coarse_sha256": self.coarse.sha256}
        if self.fine is not None:
            found["fine_sha256"] = self.fine.sha256
        return found

    def to_json(self) -> dict[str, Any]:
        """The content of ``model.json``, before it is sealed."""
        stages = {"coarse": self.coarse.to_json()}
        if self.fine is not None:
            stages["fine"] = self.fine.to_json()
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "version": self.version,
            "body_region": self.body_region,
            "stages": stages,
            "search": self.search.to_json(),
            "confidence": self.confidence.to_json(),
            "training": self.training,
        }


def read_card(folder: Path) -> ModelCard:
    """Read and validate ``folder/model.json``.

    Raises ModelError with one line if anything is not as it must be.
    """
    path = folder / CARD_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ModelError(f"{folder}: there is no model here ({CARD_NAME} is missing)") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: the model card cannot be read ({error})") from error
    return parse_card(text, str(path))


def parse_card(text: str, path: str) -> ModelCard:
    """The card in the text of ``path``.

    Raises ModelError with one line if anything is not as it must be.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: the model card cannot be read ({error})") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ModelError(f"{path}: this is not the card of an RPRLoc model")

    if data.get("schema_version") not in READABLE_VERSIONS:
        raise ModelError(
            f"{path}: card version {data.get('schema_version')} is not supported "
            f"(at most {SCHEMA_VERSION})"
        )
    try:
        fine = data["stages"].get("fine")
        card = ModelCard(
            name=str(data["name"]),
            version=str(data["version"]),
            body_region=str(data["body_region"]),
            coarse=StageCard.from_json(data["stages"]["coarse"], path),
            fine=None if fine is None else StageCard.from_json(fine, path),
            training=dict(data["training"]),
            search=SearchSettings.from_json(data.get("search", {})),
            confidence=ConfidenceThresholds.from_json(data.get("confidence", {})),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ModelError(f"{path}: the model card lacks or misstates {error}") from error
    # Last, because what is wrong with a value says more.
    problem = broken_seal(data, FIELDS)
    if problem:
        raise ModelError(f"{path}: {problem}")
    return card

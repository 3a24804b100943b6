"""Models on disk: find, verify, list; without torch, which takes seconds to import."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelError, RprLocError
from .card import AUTO_MODEL, CARD_NAME, DEFAULT_MODEL, ModelCard, read_card

BUNDLED = Path(__file__).resolve().parents[2] / "Resources" / "Models"
PATH_VARIABLE = "RPRLOC_MODELS"


def model_folders(chosen: Sequence[Path] = ()) -> list[Path]:
    """Folders that hold models.

    The chosen ones, those of the variable RPRLOC_MODELS, then the bundled ones.
    """
    extra = [Path(p) for p in os.environ.get(PATH_VARIABLE, "").split(os.pathsep) if p]
    return list(dict.fromkeys([*chosen, *extra, BUNDLED]))


def find_model(name_or_folder: str | Path = DEFAULT_MODEL) -> Path:
    """Folder of a model given by its folder or by its folder's name in ``model_folders``.

    Raises ModelError if none.
    """
    given = Path(name_or_folder)
    if (given / CARD_NAME).is_file():
        return given
    if len(given.parts) == 1:
        for folder in model_folders():
            if (folder / given / CARD_NAME).is_file():
                return folder / given

    raise ModelError(
        f"no model {str(name_or_folder)!r}: give the folder that holds its {CARD_NAME}, or see "
        "`rprloc models`"
    )


def bundled_models() -> list[Path]:
    """Folders of the models that ``auto`` chooses among, the default one first.

    A model that another of them was trained on from is left out: it is kept for the templates that
    were made with it, and would only be asked the same again. Raises ModelError for a damaged card.
    """
    cards = {card.parent: read_card(card.parent) for card in BUNDLED.glob(f"*/{CARD_NAME}")}
    trained_on = [
        identity
        for card in cards.values()
        for stage in (card.coarse, card.fine)
        if stage is not None
        for identity in started_from(stage.facts)
    ]
    folders = sorted(folder for folder, card in cards.items() if card.identity not in trained_on)
    return sorted(folders, key=lambda folder: folder.name != DEFAULT_MODEL)


def started_from(facts: Mapping[str, Any]) -> Iterator[Any]:
    """Identities of the models that a stage was trained on from, the latest first."""
    while isinstance(facts, Mapping) and "started_from" in facts:
        yield facts["started_from"]
        facts = facts.get("before", {})


def model_of_identity(identity: Mapping[str, str], chosen: Sequence[Path] = ()) -> Path | None:
    """Folder of the model that a template was made with; None if it is not installed."""
    for parent in model_folders(chosen):
        for card_path in sorted(parent.glob(f"*/{CARD_NAME}")):
            try:
                if read_card(card_path.parent).identity == identity:
                    return card_path.parent
            except RprLocError:
                # What is wrong with a model is told by whoever asks for that one.
                continue
    return None


def models_for(model: str | Path | None, identity: Mapping[str, str] | None = None) -> list[Path]:
    """Folders of the models that a user asks for.

    ``auto`` stands for those that are bundled; for a template, for the one that it was made with.
    If that is not installed, it is the default model, which refuses the template and says why.

    Args:
        model: folder or name; None and ``AUTO_MODEL`` for ``auto``.
        identity: of the model that a template was made with; None without a template.

    Raises:
        ModelError: there is no such model.
    """
    if model is not None and model != AUTO_MODEL:
        return [find_model(model)]
    if identity is None:
        return bundled_models() or [find_model(DEFAULT_MODEL)]
    return [model_of_identity(identity) or find_model(DEFAULT_MODEL)]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def bytes_sha256(data: bytes) -> str:
    """SHA-256 of bytes, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def verify_files(folder: Path, card: ModelCard) -> None:
    """Compare the network files with the card's checksums.

    Raises ModelError naming the first that differs.
    """
    for stage in (card.coarse, card.fine):
        if stage is None:
            continue
        path = folder / stage.file
        try:
            found = file_sha256(path)
        except OSError as error:
            raise ModelError(
                f"{path}: the network file cannot be read ({error.strerror or error})"
            ) from error
        if found != stage.sha256:
            raise ModelError(
                f"{path}: wrong checksum, the file is damaged or was exchanged; install the model "
                "again"
            )


@dataclass(frozen=True)
class ModelEntry:
    """A line of ``rprloc models``.

    ``problem`` is empty if the card is valid and all checksums agree.
    """

    folder: Path
    card: ModelCard | None
    problem: str


def list_models(chosen: Sequence[Path] = ()) -> list[ModelEntry]:
    """All models in ``model_folders(chosen)``, verified."""
    entries = []
    for parent in model_folders(chosen):
        for card_path in sorted(parent.glob(f"*/{CARD_NAME}")):
            folder = card_path.parent
            try:
                card = read_card(folder)
                verify_files(folder, card)
                entries.append(ModelEntry(folder, card, ""))
            except RprLocError as error:
                entries.append(ModelEntry(folder, None, str(error)))
    return entries

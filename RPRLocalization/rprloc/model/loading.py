"""Model pairs on disk: find, verify, load, list."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from ..errors import ModelError, RprLocError, one_line
from ..image.resampling import IsotropicVolume
from .card import AUTO_MODEL, CARD_NAME, DEFAULT_MODEL, ModelCard, StageCard, read_card
from .dense_pass import DensePass
from .devices import fast_dtype
from .field import LatentField, compute_field
from .older_torch import lacks_operator, with_plain_interpolation

BUNDLED = Path(__file__).resolve().parents[2] / "Resources" / "Models"
PATH_VARIABLE = "RPRLOC_MODELS"


@dataclass(frozen=True, eq=False)
class StageModel:
    """One loaded network and its card."""

    card: StageCard
    network: torch.jit.ScriptModule
    device: torch.device

    def field(self, grid: IsotropicVolume) -> LatentField:
        """One dense pass over a grid of this stage's spacing."""
        return compute_field(self._quickest or self.network, self.card.net, grid, self.device)

    @cached_property
    def _quickest(self) -> DensePass | None:
        """The same network for a CPU; None on a GPU, or if the file holds another network.

        Nor where the CPU computes in bfloat16: TorchScript rounds there otherwise, and answers of
        earlier versions would move by some tenths of a millimetre.
        """
        exact = self.device.type == "cpu" and fast_dtype(self.device) == torch.float32
        return DensePass.of(self.network, self.card.net) if exact else None


@dataclass(frozen=True, eq=False)
class ModelPair:
    """The coarse network and, if the model has one, the fine network, on one device."""

    card: ModelCard
    coarse: StageModel
    fine: StageModel | None
    device: torch.device

    @property
    def spacings(self) -> tuple[float, ...]:
        """Grid spacings in mm that the networks read: coarse, fine."""
        stages = [self.coarse] if self.fine is None else [self.coarse, self.fine]
        return tuple(stage.card.spacing_mm for stage in stages)


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
        stage.facts.get("started_from")
        for card in cards.values()
        for stage in (card.coarse, card.fine)
        if stage is not None
    ]
    folders = sorted(folder for folder, card in cards.items() if card.identity not in trained_on)
    return sorted(folders, key=lambda folder: folder.name != DEFAULT_MODEL)


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


def _load_stage(folder: Path, card: StageCard, device: torch.device) -> StageModel:
    path = folder / card.file
    try:
        network = load_network(path, device)
    except RuntimeError as error:
        raise ModelError(
            f"{path}: PyTorch {torch.__version__} cannot load the network ({one_line(error)})"
        ) from error
    return StageModel(card, network.eval(), device)


def load_network(path: Path, device: torch.device) -> torch.jit.ScriptModule:
    """Load a TorchScript file, also one that a newer PyTorch has written.

    Raises RuntimeError if it cannot be loaded.
    """
    try:
        network: torch.jit.ScriptModule = torch.jit.load(str(path), map_location=device)
    except RuntimeError as error:
        if not lacks_operator(error):
            raise
        network = torch.jit.load(with_plain_interpolation(path), map_location=device)
    return network


def load_model(folder: str | Path, device: torch.device) -> ModelPair:
    """Verify and load a model; nothing in its files is run or unpickled before the checksums agree.

    Raises ModelError if the folder holds no model, the card is invalid, or a checksum is wrong.
    """
    where = Path(folder)
    card = read_card(where)
    verify_files(where, card)

    coarse = _load_stage(where, card.coarse, device)
    fine = None if card.fine is None else _load_stage(where, card.fine, device)
    return ModelPair(card, coarse, fine, device)


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

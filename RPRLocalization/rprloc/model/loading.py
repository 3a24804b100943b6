"""Model pairs: verified and loaded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from ..errors import ModelError, one_line
from ..image.resampling import IsotropicVolume
from .card import ModelCard, StageCard, read_card
from .dense_pass import DensePass
from .devices import fast_dtype
from .field import LatentField, compute_field
from .finding import verify_files
from .older_torch import lacks_operator, with_plain_interpolation


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

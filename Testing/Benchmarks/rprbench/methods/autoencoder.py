"""Template matching of auto-encoder features.

The paper's alternatives FM MSE and FM Cosine (Table 3).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from rprloc.geometry import FloatArray
from rprloc.image.volume import Volume

from ..core.cohort import Patient
from .autoencoder_net import LATENT, AutoEncoder
from .autoencoder_training import (
    QUICK,
    PatchSource,
    TrainingPlan,
    patches_of,
    read_checkpoint,
    train_encoder,
)
from .patch_grid import STRIDE, PatchGrid, patch_grid
from .patch_matching import PatchMatching, Start

FeatureMeasure = Literal["mse", "cosine"]
FEATURE_MEASURES: tuple[FeatureMeasure, ...] = get_args(FeatureMeasure)

_SHORTEST = 1e-8


@dataclass(frozen=True, eq=False)
class FeatureExample:
    """An organ of a reference. latents: (6, LATENT) of its patches. rest: as in Example."""

    latents: Tensor
    rest: FloatArray


class FeatureWindows:
    """The latents of all windows of a query.

    latents: (LATENT, z, y, x). counts: of windows along z, y, x.
    """

    def __init__(self, latents: Tensor) -> None:
        self.counts = tuple(latents.shape[1:])
        self._latents = latents.flatten(1)
        self._mean = self._latents.mean(dim=1)
        self._lengths = torch.linalg.vector_norm(self._latents, dim=0)
        self._spread = ((self._latents - self._mean[:, None]) ** 2).sum(dim=0)

    def alike(self, latents: Tensor, measure: FeatureMeasure) -> Tensor:
        """How alike latents (m, LATENT) and those of the windows are, (m, windows), more is better.

        mse: minus the mean square error; from the distances to the mean, since little of the
            latents differs.
        """
        if measure == "cosine":
            directions = functional.normalize(latents, dim=1)
            likeness: Tensor = directions @ self._latents / self._lengths.clamp(min=_SHORTEST)
            return likeness
        apart = latents - self._mean
        product = apart @ self._latents - (apart @ self._mean)[:, None]
        return -((apart**2).sum(dim=1)[:, None] - 2 * product + self._spread) / latents.shape[1]

    def best(self, latents: Tensor, measure: FeatureMeasure) -> list[Start | None]:
        """First voxel (z, y, x) of the window most alike, for each latent (m, LATENT)."""
        places = torch.unravel_index(self.alike(latents, measure).argmax(dim=1), self.counts)
        return [
            (int(z), int(y), int(x)) for z, y, x in (torch.stack(places, dim=1) * STRIDE).tolist()
        ]


@dataclass(frozen=True, eq=False)
class FeatureQuery:
    """A query's lattice and its windows."""

    grid: PatchGrid
    windows: FeatureWindows


class FeatureMap(PatchMatching):
    """The patches of GrayScale, compared by their latents.

    The auto-encoder learns from the CTs of ``train``.

    One dense pass gives the latents of all windows of a query.
    """

    name: ClassVar[str] = "feature"
    titles: ClassVar[dict[str, str]] = {
        "fm-mse": "Template matching, auto-encoder features MSE",
        "fm-cosine": "Template matching, auto-encoder features cosine",
    }
    _model: AutoEncoder | None = None

    @property
    def plan(self) -> TrainingPlan:
        """How the auto-encoder is trained."""
        return QUICK if self.context.quick else TrainingPlan()

    def settings(self) -> dict[str, Any]:
        """Also the auto-encoder and its training."""
        return {**super().settings(), "latent": LATENT, "training": asdict(self.plan)}

    def train(self) -> None:
        """Train the auto-encoder on the CTs of ``train``, from its checkpoint if there is one."""
        file = self.context.out / "autoencoder" / "autoencoder.pt"
        device, report = torch.device(self.context.device), self.context.report
        train_encoder(self.plan, self._patches, file, device, report)
        saved = read_checkpoint(file, self.plan)
        assert saved is not None
        self._model = AutoEncoder().to(device).eval().requires_grad_(False)
        self._model.load_state_dict(saved["model"])

    def model(self) -> AutoEncoder:
        """The trained auto-encoder; trains it if nobody has."""
        if self._model is None:
            self.train()
        assert self._model is not None
        return self._model

    def prepare(self, reference: Patient) -> dict[str, FeatureExample]:
        """Organ -> latents of the patches around its extreme points."""
        model = self.model()
        examples = {}
        for name, example in self.examples(reference).items():
            patches = torch.from_numpy(example.patches)[:, None].to(self.context.device)
            with torch.inference_mode():
                examples[name] = FeatureExample(model.encode(patches), example.rest)
        return examples

    def encode(self, query: Volume) -> FeatureQuery:
        """Latents of all windows of the query."""
        model, grid = self.model(), patch_grid(query)
        with torch.inference_mode():
            latents = model.encode_all(torch.from_numpy(grid.values).to(self.context.device))
            return FeatureQuery(grid, FeatureWindows(latents))

    def starts(self, encoded: FeatureQuery, organ: FeatureExample) -> dict[str, list[Start | None]]:
        """Best windows by the measures that were asked for."""
        measures = [m for m in FEATURE_MEASURES if f"fm-{m}" in self.variants]
        return {
            f"fm-{measure}": encoded.windows.best(organ.latents, measure) for measure in measures
        }

    def _patches(self) -> PatchSource:
        return patches_of(self.context.cohort, self.plan.scans, self.context.report)


def plain_feature_likeness(window: Tensor, wanted: Tensor, measure: FeatureMeasure) -> float:
    """Measure one window's latent (1, LATENT), as a plain sliding window does each time."""
    if measure == "cosine":
        return float(functional.cosine_similarity(window, wanted))
    return -float(functional.mse_loss(window, wanted))

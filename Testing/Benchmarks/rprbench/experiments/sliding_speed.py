"""How long template matching takes as a plain sliding window, one window after the other.

Measured on a sample.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.cohort import ORGANS, Patient
from ..core.method import Context
from ..core.store import Row
from ..methods.autoencoder import FeatureMap, FeatureMeasure, plain_feature_likeness
from ..methods.gray_scale import GrayScale, variant_of
from ..methods.patch_grid import PATCH, STRIDE, FloatVolume, patch_grid
from ..methods.sliding_window import MEASURES, plain_likeness
from .measurement import Measurement

POINTS = 6
QUERIES = 3
_GRAY_SAMPLE = 2000
_FEATURE_SAMPLE = 200
_QUICK_SHARE = 20
_SEED = 0


class SlidingTime(Measurement):
    """Units are the variants of GrayScale and FeatureMap.

    One row each, for the mean of the first three queries.

    A random sample of windows is scored one by one, as the paper does it, and the time taken for
    all windows.
    seconds_organ: the six points of an organ. Gray values: every window is scored six times.
    Features: the latent of every window is computed once for the organ, and compared six times.
    seconds_patient: four organs, one after the other. windows: of one query, which are the same for
    every point.
    """

    name = "sliding"
    title = "Plain sliding windows, timed on a sample"

    def __init__(self, context: Context, queries: Sequence[str], reference: str) -> None:
        super().__init__(context, reference, queries[:QUERIES])
        share = _QUICK_SHARE if context.quick else 1
        self.samples = {"gray": _GRAY_SAMPLE // share, "feature": _FEATURE_SAMPLE // share}
        self.gray, self.feature = GrayScale(context), FeatureMap(context)

    def settings(self) -> dict[str, Any]:
        """Also the samples, and what the methods depend on."""
        return {
            **super().settings(),
            "samples": self.samples,
            "gray": self.gray.settings(),
            "feature": self.feature.settings(),
        }

    def units(self) -> Sequence[str]:
        """The variants that are timed."""
        return [*self.gray.variants, *self.feature.variants]

    def begin(self) -> None:
        """Train the auto-encoder."""
        self.feature.train()

    def run(self, unit: str) -> list[Row]:
        """Time some windows of each query, and extrapolate to all."""
        reference = self.context.cohort.patient(self.reference)
        kind = "gray" if unit in self.gray.variants else "feature"
        each = self.samples[kind] // len(self.queries)

        counts, seconds = [], []
        for query in self.queries:
            volume = patch_grid(self.context.cohort.patient(query).volume).values
            windows = sampled_windows(volume, each)
            count = int(np.prod(window_counts(volume)))
            counts.append(count)
            seconds.append(count * self._seconds_per_window(unit, reference, windows))

        organ = float(np.mean(seconds))
        return [
            {
                "method": unit,
                "windows": round(float(np.mean(counts))),
                "sampled": each * len(self.queries),
                "seconds_organ": round(organ, 1),
                "seconds_patient": round(organ * len(ORGANS), 1),
            }
        ]

    def _seconds_per_window(
        self, unit: str, reference: Patient, windows: Sequence[FloatVolume]
    ) -> float:
        """For the six points of an organ."""
        organ = ORGANS[0]
        if unit in self.gray.variants:
            patch = self.gray.prepare(reference)[organ].patches[0]
            measure = next(m for m in MEASURES if variant_of(m) == unit)
            return POINTS * _mean_seconds(
                lambda window: plain_likeness(window, patch, measure), windows
            )

        latent = self.feature.prepare(reference)[organ].latents[:1]
        metric: FeatureMeasure = "mse" if unit == "fm-mse" else "cosine"
        with torch.inference_mode():
            encoded = [self._encoded(window) for window in windows]
            encoding = _mean_seconds(self._encoded, windows)
            return encoding + POINTS * _mean_seconds(
                lambda seen: plain_feature_likeness(seen, latent, metric), encoded
            )

    def _encoded(self, window: FloatVolume) -> Tensor:
        """Latent (1, LATENT).

        Waits for the GPU, if there is one, as a plain loop does that looks at each score.
        """
        latent = self.feature.model().encode(
            torch.from_numpy(window)[None, None].to(self.context.device)
        )
        if latent.is_cuda:
            torch.cuda.synchronize()
        return latent


def window_counts(volume: FloatVolume) -> tuple[int, ...]:
    """Windows of a volume (z, y, x) along each axis."""
    return tuple((n - m) // STRIDE + 1 for n, m in zip(volume.shape, PATCH, strict=True))


def sampled_windows(volume: FloatVolume, count: int) -> list[FloatVolume]:
    """Random windows of a volume.

    Views, so that cutting them costs as little as in a sliding window.
    """
    random = np.random.default_rng(_SEED)
    starts = random.integers(window_counts(volume), size=(count, 3)) * STRIDE
    return [
        volume[tuple(slice(s, s + n) for s, n in zip(start, PATCH, strict=True))]
        for start in starts
    ]


def _mean_seconds(score: Callable[[Any], object], items: Iterable[Any]) -> float:
    """Mean wall time of one call; the first call is left out, because it warms up."""
    first, *others = items
    score(first)
    started = time.perf_counter()
    for item in others:
        score(item)
    return (time.perf_counter() - started) / len(others)

"""How alike a patch and every window of a volume are (stride 2).

The exact sliding window, but by FFT.

The samples of a correlation at every second voxel are a sum over the eight polyphase components of
volume and patch, c[w] = sum_a sum_v V_a[w + v] P_a[v] with V_a[v] = V[2v + a], so that the
transforms have an eighth of the size. MSE, cosine and normalized cross correlation follow from it
and from the local sums of V and V^2.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import scipy.fft

from rprloc.geometry import FloatArray

from .patch_grid import STRIDE, FloatVolume

Measure = Literal["mse", "cosine", "ncc"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
FLAT = 0.005
"""Root mean square (cosine) or deviation (NCC) below which a window is empty.

Its direction would be rounding.
"""
NOTHING = -np.inf

_PHASES = tuple(product(range(STRIDE), repeat=3))


class Windows:
    """All windows of ``volume`` (z, y, x) of one shape (even sizes) that begin at even voxels.

    counts: of windows along z, y, x.
    """

    def __init__(self, volume: FloatVolume, patch: Sequence[int], threads: int = 1) -> None:
        if any(n % STRIDE for n in patch) or any(
            n < m for n, m in zip(volume.shape, patch, strict=True)
        ):
            raise ValueError(
                f"windows of {tuple(patch)} in a volume of {volume.shape}: even, and not larger"
            )

        self.threads = threads
        self.patch = tuple(patch)
        self.counts = tuple((n - m) // STRIDE + 1 for n, m in zip(volume.shape, patch, strict=True))
        self._sums = local_sums(volume, self.patch)
        self._squares = local_sums(volume.astype(np.float64) ** 2, self.patch)
        halves = [-(-n // STRIDE) for n in volume.shape]
        self._shape = [scipy.fft.next_fast_len(n, real=True) for n in halves]
        self._spectra = [self._spectrum(_phase(volume, phase)) for phase in _PHASES]

    def likeness(
        self, patch: FloatVolume, measures: Sequence[Measure]
    ) -> dict[Measure, FloatArray]:
        """Of each measure: how alike ``patch`` and every window are (``counts``), more is better.

        mse: minus the mean square error. NOTHING where cosine or NCC are undefined (FLAT).
        """
        size = patch.size
        wanted = patch.astype(np.float64)
        mean, square = float(wanted.mean()), float((wanted**2).sum())
        # without the mean there is less to round off in float32
        covariance = self._correlation((wanted - mean).astype(np.float32))
        likeness: dict[Measure, FloatArray] = {}
        if "mse" in measures:
            likeness["mse"] = (
                -(self._squares - 2 * (covariance + mean * self._sums) + square) / size
            )
        if "cosine" in measures:
            likeness["cosine"] = _normalized(
                covariance + mean * self._sums, self._squares, square, size
            )
        if "ncc" in measures:
            variance = self._squares - self._sums**2 / size
            likeness["ncc"] = _normalized(covariance, variance, square - size * mean**2, size)

        return likeness

    def _correlation(self, patch: FloatVolume) -> FloatArray:
        total: npt.NDArray[Any] | None = None
        for phase, spectrum in zip(_PHASES, self._spectra, strict=True):
            part = np.conj(self._spectrum(_phase(patch, phase))) * spectrum
            total = part if total is None else np.add(total, part, out=total)
        full = scipy.fft.irfftn(total, s=self._shape, workers=self.threads, overwrite_x=True)
        part_of_windows = tuple(slice(n) for n in self.counts)
        return np.asarray(full[part_of_windows], dtype=np.float64)

    def _spectrum(self, part: FloatVolume) -> npt.NDArray[np.complex64]:
        """Like rfftn with padding, but rows of padding alone are not transformed."""
        z, y, x = self._shape
        spectrum = scipy.fft.rfft(part, n=x, axis=2, workers=self.threads)
        spectrum = scipy.fft.fft(spectrum, n=y, axis=1, workers=self.threads)
        return np.asarray(scipy.fft.fft(spectrum, n=z, axis=0, workers=self.threads))


def _phase(volume: FloatVolume, phase: tuple[int, ...]) -> FloatVolume:
    return volume[tuple(slice(first, None, STRIDE) for first in phase)]


def _normalized(product: FloatArray, windows: FloatArray, patch: float, size: int) -> FloatArray:
    """``product`` over the root of the two sums of squares; NOTHING where one is flat."""
    least = size * FLAT**2
    ratios = np.full(product.shape, NOTHING)
    if patch >= least:
        np.divide(
            product, np.sqrt(np.maximum(windows, least) * patch), out=ratios, where=windows >= least
        )
    return ratios


def local_sums(volume: npt.NDArray[np.floating[Any]], patch: Sequence[int]) -> FloatArray:
    """Sum of every window of stride 2, float64, by cumulative sums along each axis in turn."""
    sums = volume.astype(np.float64)
    for axis, length in enumerate(patch):
        ahead = np.cumsum(sums, axis=axis)
        ends = np.arange(length - 1, volume.shape[axis], STRIDE)
        sums = np.take(ahead, ends, axis=axis)
        before = np.take(ahead, ends[1:] - length, axis=axis)
        sums[(slice(None),) * axis + (slice(1, None),)] -= before
    return sums


def plain_likeness(window: FloatVolume, patch: FloatVolume, measure: Measure) -> float:
    """Measure one window (the shape of ``patch``), as a plain sliding window does each time."""
    if measure == "mse":
        return -float(np.mean((window - patch) ** 2))
    if measure == "ncc":
        window, patch = window - window.mean(), patch - patch.mean()
    length, wanted = float(np.linalg.norm(window)), float(np.linalg.norm(patch))
    if min(length, wanted) < FLAT * patch.size**0.5:
        return NOTHING
    return float(np.vdot(window, patch)) / (length * wanted)


def best_window(likeness: FloatArray) -> tuple[int, int, int] | None:
    """First voxel (z, y, x) of the window that is most alike.

    None if no window is like the patch at all.
    """
    best = int(np.argmax(likeness))
    if likeness.flat[best] == NOTHING:
        return None
    z, y, x = np.unravel_index(best, likeness.shape)
    return int(z) * STRIDE, int(y) * STRIDE, int(x) * STRIDE

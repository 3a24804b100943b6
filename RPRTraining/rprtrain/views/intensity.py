"""Random gray values: what another scanner, contrast phase or implant would make of a view."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from rprloc.image.hounsfield import AIR_OF_SCALE_HU

from ..augmentation import Augmentation
from ..random_stream import RandomStream

# What is altered: everything denser than this, so that air stays air. Lower than the HU of tissue
# (-400), because lung is altered too.
NOT_AIR_HU = -900.0
# Water above air, on the scale of Hounsfield units.
HU_OF_WATER = 1000.0
BLUR_ALONG_Z, BLUR_ALL_AXES = (3, 1, 1), (3, 3, 3)


def augment_intensity(hu: Tensor, ranges: Augmentation, rng: RandomStream) -> Tensor:
    """Random gamma, gain, offset, blur, noise and erased blocks; air stays air.

    Args:
        hu: (1, 1, D, H, W) HU.
        ranges: what is drawn from.
        rng: where the random numbers come from.

    Returns:
        (1, 1, D, H, W) HU.
    """
    altered = hu > NOT_AIR_HU

    # Gamma and gain act on the density, which is 0 in air and 1 in water.
    density = ((hu - AIR_OF_SCALE_HU) / HU_OF_WATER).clamp_min(0.0)
    density = density ** rng.uniform(*ranges.gamma) * rng.uniform(*ranges.gain)
    out = density * HU_OF_WATER + AIR_OF_SCALE_HU + rng.uniform(*ranges.offset_hu)

    if rng.chance(ranges.blur_probability):
        along_z = rng.chance(ranges.slice_blur_probability)
        kernel = BLUR_ALONG_Z if along_z else BLUR_ALL_AXES
        out = F.avg_pool3d(out, kernel, 1, tuple(k // 2 for k in kernel), count_include_pad=False)

    if rng.chance(ranges.noise_probability):
        noise = torch.randn(out.shape, generator=rng.generator).to(out.device)
        out = out + noise * rng.uniform(*ranges.noise_hu)

    out = torch.where(altered, out, hu)
    while rng.chance(ranges.erase_probability):
        _erase_block(out, ranges, rng)
    return out


def _erase_block(hu: Tensor, ranges: Augmentation, rng: RandomStream) -> None:
    """Fill a small random block with one value, in place."""
    block = hu
    for axis in (2, 3, 4):
        size = hu.shape[axis]
        edge = min(size, rng.integer_between(*ranges.erase_edge))
        block = block.narrow(axis, rng.integer(size - edge + 1), edge)
    block.fill_(rng.uniform(*ranges.erase_hu))

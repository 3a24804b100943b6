"""The body: couch and head rest go, tissue stays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from support.phantoms import body_hu

from rprloc.image.body import body_mask
from rprloc.image.hounsfield import BODY_HU

Array = npt.NDArray[np.float64]


def sampled(spacing: float, *, couch: bool, top: float = 270.0) -> Array:
    """Return the phantom (z, y, x) averaged over voxels of ``spacing`` mm, as resampling does."""
    fine = spacing / 2
    counts = [2 * int(extent / spacing) for extent in (top, 250, 460)]
    start = np.array([-230.0, -120.0, 0.0]) + fine / 2
    z, y, x = (np.arange(n) * fine for n in counts)
    grid = np.stack(np.meshgrid(z, y, x, indexing="ij")[::-1], axis=-1) + start
    hu = body_hu(grid, couch=couch)
    d, h, w = (n // 2 for n in counts)
    return np.asarray(hu.reshape(d, 2, h, 2, w, 2).mean(axis=(1, 3, 5)))


def mask_of(hu: Array, spacing: float) -> npt.NDArray[np.bool_]:
    return body_mask(hu, (spacing,) * 3)


@pytest.mark.parametrize("spacing", [3.0, 4.0, 5.0])
def test_a_masked_ct_keeps_its_tissue(spacing: float) -> None:
    hu = sampled(spacing, couch=False)
    tissue = hu > BODY_HU
    assert (tissue & ~mask_of(hu, spacing)).sum() <= 0.0005 * tissue.sum()


@pytest.mark.parametrize("spacing", [3.0, 4.0, 5.0])
def test_couch_and_head_rest_go(spacing: float) -> None:
    bare, full = sampled(spacing, couch=False), sampled(spacing, couch=True)
    body, with_couch = mask_of(bare, spacing), mask_of(full, spacing)
    tissue = bare > BODY_HU
    assert (tissue & ~with_couch).sum() <= 0.0005 * tissue.sum()
    added = (full > BODY_HU) & ~tissue & ~body
    assert added.sum() > 0.03 * tissue.sum()
    assert (added & with_couch).sum() < 0.35 * added.sum()
    far = np.abs((np.arange(bare.shape[2]) + 0.5) * spacing - 230) > 160
    assert not with_couch[:, :, far].any()


def test_lungs_are_filled_up_to_the_cut_plane() -> None:
    hu = sampled(4.0, couch=False)
    lungs = hu < -800
    lungs[:, :, :20] = lungs[:, :, -20:] = False
    inside = np.zeros(hu.shape, dtype=bool)
    inside[:, 22:40, 35:50] = inside[:, 22:40, 65:80] = True
    lungs &= inside & (np.arange(len(hu)) < 10)[:, None, None]
    assert lungs[0].any()
    assert mask_of(hu, 4.0)[lungs].all()


def test_ears_and_an_earring_of_air_around_the_skin_stay() -> None:
    hu = sampled(4.0, couch=True)
    mask = mask_of(hu, 4.0)
    z, y, x = 45, 30, int((230 + 88) / 4)
    assert hu[z, y, x] > BODY_HU
    assert mask[z, y, x]
    skin = mask & (hu <= BODY_HU)
    assert skin[:, :20].any()


def test_a_couch_apart_is_left_out_even_if_it_is_thick() -> None:
    hu = sampled(4.0, couch=False)
    body = mask_of(hu, 4.0)
    hu[:, -6:, :] = 50
    assert np.array_equal(mask_of(hu, 4.0)[:, :-8], body[:, :-8])
    assert not mask_of(hu, 4.0)[:, -6:].any()


def test_missing_slices_do_not_lose_the_rest_of_the_body() -> None:
    hu = sampled(4.0, couch=False)
    hu[18:22] = -1000
    tissue = hu > BODY_HU
    assert (tissue & ~mask_of(hu, 4.0)).sum() <= 0.001 * tissue.sum()


def test_two_legs_both_stay() -> None:
    z, y, x = np.ogrid[:40, :50, :100]
    legs = ((y - 25) ** 2 + (x - 27) ** 2 < 15**2) | ((y - 25) ** 2 + (x - 73) ** 2 < 14**2)
    hu = np.where(legs & (z >= 0), 40.0, -1000.0)
    assert mask_of(hu, 4.0)[hu > 0].all()


def test_a_short_scan_of_two_slices_keeps_the_body() -> None:
    hu = sampled(4.0, couch=False)[10:12]
    tissue = hu > BODY_HU
    assert mask_of(hu, 4.0)[tissue].all()


def test_a_body_that_touches_the_sides_of_the_scan_stays_whole() -> None:
    hu = sampled(4.0, couch=False)[:, 12:44, 30:85]
    tissue = hu > BODY_HU
    assert (tissue & ~mask_of(hu, 4.0)).sum() <= 0.005 * tissue.sum()


def test_nothing_dense_is_no_body_and_a_speck_is_one() -> None:
    hu = np.full((10, 10, 10), -1000.0)
    assert not mask_of(hu, 4.0).any()
    hu[5, 5, 5] = 0
    assert mask_of(hu, 4.0).sum() == 27

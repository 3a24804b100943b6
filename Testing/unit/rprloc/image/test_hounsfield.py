"""Gray values: offsets of 1024 in every disguise, padding, and scales that are no Hounsfield's."""

from __future__ import annotations

import numpy as np
import pytest
from support.phantoms import OBLIQUE, body_volume

from rprloc.errors import InputError
from rprloc.image.hounsfield import check_ct

OFFSET = 1024


@pytest.fixture(scope="module")
def hu() -> np.ndarray:
    ct = body_volume(OBLIQUE, at=OBLIQUE.bounds().center - [0, 0, 40], scale=0.25)
    return ct.array.astype(np.int32)


def outside_of_the_circle(hu: np.ndarray) -> np.ndarray:
    """The corners that a round field of view leaves out."""
    y, x = (np.linspace(-1, 1, n) for n in hu.shape[1:])
    return np.broadcast_to(np.hypot(y[:, None], x) > 1.0, hu.shape)


@pytest.mark.parametrize("fill", [None, -1024, -2000, -3024])
def test_an_offset_behind_padding_is_found(hu: np.ndarray, fill: int | None) -> None:
    moved = hu + OFFSET
    if fill is not None:
        moved = np.where(outside_of_the_circle(hu), fill, moved)
    with pytest.raises(InputError, match=r"offset of about \+1024"):
        check_ct(moved)


@pytest.mark.parametrize("fill", [None, -2024, -2048, -3024])
def test_a_rescale_applied_twice_is_found(hu: np.ndarray, fill: int | None) -> None:
    moved = hu - OFFSET
    if fill is not None:
        moved = np.where(outside_of_the_circle(hu), fill, moved)
    with pytest.raises(InputError, match="rescale intercept applied twice"):
        check_ct(moved)


@pytest.mark.parametrize("fill", [-1024, -2000, -2048, -3024, -32768])
def test_padding_alone_is_accepted_without_a_word(hu: np.ndarray, fill: int) -> None:
    assert check_ct(np.where(outside_of_the_circle(hu), fill, hu)) == ()


def test_uncalibrated_values_get_a_note(hu: np.ndarray) -> None:
    assert check_ct(hu) == ()
    (note,) = check_ct(np.where(hu > -500, hu + 250, hu))
    assert "cone-beam" in note

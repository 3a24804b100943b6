"""CTs whose header says another orientation or spacing than the patient has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.paths import BUNDLED_TEMPLATES, DATA, HAN, SAMPLE_DATA

from rprloc.geometry import Geometry
from rprloc.image.volume import Volume, read_volume
from rprloc.localization.locator import Locator
from rprloc.localization.template import Template
from rprloc.model.finding import find_model
from rprloc.model.loading import load_model

LIBRARY = BUNDLED_TEMPLATES / "han-ct-organs.json"
KNOWN = ("kbp_276", "kbp_314")
UNKNOWN = (
    *(f"trunk/{name}" for name in ("lidc_0001", "totalseg_example", "vhf_pelvis")),
    *(f"body/{name}" for name in ("val/gate_garf_wb", "test/dicom2mesh_abd")),
)
NOTES = {
    (0,): "upside down",
    (1,): "back to front",
    (0, 1): "turned by 180 degrees",
}

needs_han = pytest.mark.skipif(
    not HAN.is_dir(), reason="the head-and-neck CTs (shared/data/han) are not on this machine"
)
needs_others = pytest.mark.skipif(
    not (DATA / "trunk").is_dir() or not (DATA / "body").is_dir(),
    reason="the CTs of other regions (shared/data/trunk, body) are not on this machine",
)


@pytest.fixture(scope="module")
def locator() -> Locator:
    return Locator(load_model(find_model(), torch.device("cpu")))


def known(name: str) -> Volume:
    return read_volume(HAN / "val" / f"{name}.nii.gz")


def flipped(volume: Volume, axes: Sequence[int]) -> Volume:
    """Turn the voxels round along the patient's axes 0 z, 1 y, 2 x; the header stays."""
    stored = 2 - np.abs(volume.geometry.direction).argmax(1)[::-1]
    return replace(volume, array=np.ascontiguousarray(np.flip(volume.array, stored[list(axes)])))


def spaced(volume: Volume, factor: Sequence[float]) -> Volume:
    """The same voxels under a header with ``factor`` times (i, j, k) the true spacings."""
    g = volume.geometry
    return replace(
        volume, geometry=Geometry(g.size, g.spacing * np.array(factor), g.origin, g.direction)
    )


def note_of(volume: Volume, locator: Locator) -> str:
    return locator.embed(volume).orientation_note


@needs_han
@pytest.mark.parametrize("name", KNOWN)
def test_a_ct_as_it_is_has_no_note_and_neither_has_its_mirror_image(
    name: str, locator: Locator
) -> None:
    assert note_of(known(name), locator) == ""
    assert note_of(flipped(known(name), (2,)), locator) == ""


@needs_han
@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("axes", NOTES, ids=str)
def test_a_turned_patient_is_noticed(name: str, axes: tuple[int, ...], locator: Locator) -> None:
    assert NOTES[axes] in note_of(flipped(known(name), axes), locator)


@needs_han
def test_exchanged_axes_are_noticed(locator: Locator) -> None:
    volume = known(KNOWN[0])
    array = np.ascontiguousarray(volume.array.transpose(1, 0, 2))
    g = volume.geometry
    lattice = Geometry((g.size[0], g.size[2], g.size[1]), g.spacing, g.origin, g.direction)
    assert "turned in this file" in note_of(Volume(array, lattice, volume.name), locator)


@needs_han
@pytest.mark.parametrize(
    ("factor", "said"),
    [((2.0, 2.0, 2.0), "0.5 times as large"), ((0.5, 0.5, 0.5), "2 times as large")],
)
def test_a_wrong_spacing_is_noticed(
    factor: tuple[float, float, float], said: str, locator: Locator
) -> None:
    assert said in note_of(spaced(known(KNOWN[0]), factor), locator)


@needs_others
@pytest.mark.parametrize("name", UNKNOWN)
def test_a_region_that_the_model_does_not_know_has_no_note(name: str, locator: Locator) -> None:
    found = locator.embed(read_volume(DATA / f"{name}.nii.gz")).orientation
    assert (found.layout, found.note) == (None, "")


@needs_han
@pytest.mark.parametrize("end", ["head", "feet"])
def test_a_short_piece_has_no_note(end: str, locator: Locator) -> None:
    volume = known(KNOWN[1])
    slices = int(100.0 / volume.geometry.spacing[2])
    array = volume.array[-slices:] if end == "head" else volume.array[:slices]
    g = volume.geometry
    lattice = Geometry((g.size[0], g.size[1], slices), g.spacing, g.origin, g.direction)
    assert note_of(Volume(np.ascontiguousarray(array), lattice, volume.name), locator) == ""


@pytest.mark.parametrize("axes", NOTES, ids=str)
def test_nothing_is_ok_in_a_turned_sample(axes: tuple[int, ...], locator: Locator) -> None:
    query = locator.embed(flipped(read_volume(SAMPLE_DATA / "query.nii.gz"), axes))
    results = locator.locate(query, Template.read(LIBRARY))
    assert NOTES[axes] in query.orientation_note
    assert {r.status for r in results} <= {"low-confidence", "outside"}
    assert all(r.reason.startswith(query.orientation_note) for r in results)


def test_the_sample_has_no_note(locator: Locator) -> None:
    for name in ("query", "reference"):
        assert note_of(read_volume(Path(SAMPLE_DATA) / f"{name}.nii.gz"), locator) == ""

"""Files of contours, as Slicer and our own reader have them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.phantoms import OBLIQUE

from rprloc.contour.carrying import Window
from rprloc.contour.contours import Contour
from rprloc.contour.segmentation_file import Format, write_contours
from rprloc.geometry import Geometry
from rprloc.targets.labelmap import read_label_map
from rprloc.targets.segment_mask import SegmentMask

LOOK = {"Color": "0.1 0.2 0.3", "Tags": "TerminologyEntry:Segmentation~SCT^123^Organ|"}


def contour(name: str, first: tuple[int, int, int], size: int) -> Contour:
    """A full cube of voxels on the oblique lattice."""
    origin = OBLIQUE.index_to_lps([first]).xyz[0]
    part = Geometry((size, size, size), OBLIQUE.spacing, origin, OBLIQUE.direction)
    mask = SegmentMask(np.ones((size, size, size), bool), part, LOOK if name == "heart" else {})
    return Contour(name, mask, Window(first, part), "ok", 5.25)


def whole(one: Contour) -> np.ndarray:
    """The contour on the whole lattice."""
    voxels = np.zeros(OBLIQUE.size[::-1], bool)
    voxels[one.window.slices] = one.mask.voxels
    return voxels


APART = [contour("heart", (2, 3, 4), 4), contour("liver", (10, 3, 4), 5)]
OVERLAPPING = [*APART, contour("lung", (4, 4, 5), 6)]


@pytest.mark.parametrize("contours", [APART, OVERLAPPING])
def test_a_segmentation_comes_back_with_names_looks_and_overlaps(
    tmp_path: Path, contours: list[Contour]
) -> None:
    path = write_contours(tmp_path / "q", contours, OBLIQUE, "seg.nrrd")
    assert path is not None
    found = read_label_map(path)
    assert list(found.names) == [one.target for one in contours]
    np.testing.assert_allclose(found.geometry.ijk_to_lps, OBLIQUE.ijk_to_lps, atol=1e-6)
    for one in contours:
        np.testing.assert_array_equal(found.mask(one.target), whole(one))
    heart = found.looks["heart"]
    assert heart["Color"] == LOOK["Color"]
    assert heart["Tags"].startswith(LOOK["Tags"])
    assert "RPRLoc.Status:ok|RPRLoc.Radius90mm:5.2|" in heart["Tags"]
    assert len(found.looks["liver"]["Color"].split()) == 3


def test_a_label_map_has_its_names_beside_it_and_keeps_the_smaller_of_two(tmp_path: Path) -> None:
    path = write_contours(tmp_path, OVERLAPPING, OBLIQUE, "nii.gz")
    assert path is not None
    ids = json.loads((tmp_path / "contours.json").read_text(encoding="utf-8"))
    assert ids == {"heart": 1, "liver": 2, "lung": 3}
    found = read_label_map(path)
    np.testing.assert_array_equal(found.mask(1), whole(OVERLAPPING[0]))
    assert not (found.mask(3) & whole(OVERLAPPING[1])).any()


@pytest.mark.parametrize("kind", ["seg.nrrd", "nii.gz"])
def test_an_older_file_goes_where_there_is_no_contour(tmp_path: Path, kind: Format) -> None:
    write_contours(tmp_path, APART, OBLIQUE, kind)
    assert write_contours(tmp_path, [], OBLIQUE, "seg.nrrd") is None
    assert list(tmp_path.iterdir()) == []


def test_names_with_line_breaks_do_not_break_the_header(tmp_path: Path) -> None:
    odd = replace(APART[0], target="left\nlobe")
    path = write_contours(tmp_path, [odd], OBLIQUE, "seg.nrrd")
    assert path is not None
    assert list(read_label_map(path).names) == ["left lobe"]

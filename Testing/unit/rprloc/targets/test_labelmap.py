"""Reading label maps: numbers, segment names and overlapping layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from support.phantoms import OBLIQUE, image_of, written

from rprloc.errors import InputError
from rprloc.targets.labelmap import LabelMap, read_label_map


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_a_label_map(tmp_path: Path, kind: type, suffix: str) -> None:
    array = np.zeros(OBLIQUE.size[::-1], kind)
    array[2:5, 3:9, 4:8] = 7
    labels = read_label_map(written(tmp_path / f"l{suffix}", array))
    assert labels.array.dtype.kind in "iu"
    assert labels.names == {}
    assert np.array_equal(labels.mask(7), array == 7)
    assert not labels.mask(3).any()
    assert np.allclose(labels.geometry.ijk_to_lps, OBLIQUE.ijk_to_lps, atol=1e-3)
    with pytest.raises(InputError, match="no segment named"):
        labels.mask("Mandible")


def test_label_maps_that_cannot_be_used(tmp_path: Path) -> None:
    halves = np.zeros(OBLIQUE.size[::-1], np.float32)
    halves[0, 0, 0] = 0.5
    with pytest.raises(InputError, match="whole numbers"):
        read_label_map(written(tmp_path / "h.nii.gz", halves))
    with pytest.raises(InputError, match="no such file"):
        read_label_map(tmp_path / "none.nrrd")
    with pytest.raises(InputError, match="is a folder"):
        read_label_map(tmp_path)
    image = image_of(np.ones_like(halves))
    sitk.WriteImage(sitk.Compose(image, image), str(tmp_path / "v.nrrd"))
    with pytest.raises(InputError, match="2 numbers per voxel"):
        read_label_map(tmp_path / "v.nrrd")


def segmentation(path: Path, image: sitk.Image, fields: dict[str, str]) -> LabelMap:
    for key, value in fields.items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path), True)
    return read_label_map(path)


def test_segment_names_of_one_layer(tmp_path: Path) -> None:
    array = np.zeros(OBLIQUE.size[::-1], np.uint8)
    array[2:5], array[6:9] = 3, 12
    fields = {
        "Segment0_Name": "Left Parotid",
        "Segment0_LabelValue": "3",
        "Segment0_Layer": "0",
        "Segment10_Name": "Mandible",
        "Segment10_LabelValue": "12",
        "Segment10_Layer": "0",
    }
    labels = segmentation(tmp_path / "s.seg.nrrd", image_of(array), fields)
    assert labels.names == {"Left Parotid": 3, "Mandible": 12}
    assert np.array_equal(labels.mask("Mandible"), array == 12)
    assert labels.name == "s"


def test_overlapping_segments_keep_their_layers(tmp_path: Path) -> None:
    first, second = (np.zeros(OBLIQUE.size[::-1], np.uint8) for _ in range(2))
    first[2:8], first[10:12], second[4:11] = 1, 2, 1
    fields = {
        "Segment0_Name": "Brain",
        "Segment0_LabelValue": "1",
        "Segment0_Layer": "0",
        "Segment1_Name": "Chin",
        "Segment1_LabelValue": "2",
        "Segment1_Layer": "0",
        "Segment2_Name": "Brain",
        "Segment2_LabelValue": "1",
        "Segment2_Layer": "1",
    }
    image = sitk.Compose(image_of(first), image_of(second))
    labels = segmentation(tmp_path / "s.seg.nrrd", image, fields)
    assert labels.names == {"Brain": 1, "Chin": 2, "Brain_2": 1}
    assert np.array_equal(labels.mask("Brain"), first == 1)
    assert np.array_equal(labels.mask("Chin"), first == 2)
    assert np.array_equal(labels.mask("Brain_2"), second == 1)
    assert np.array_equal(labels.mask(2), first == 2)
    with pytest.raises(InputError, match="share the label 1"):
        labels.mask(1)
    assert labels.array.shape == OBLIQUE.size[::-1]
    assert np.allclose(labels.geometry.ijk_to_lps, OBLIQUE.ijk_to_lps, atol=1e-3)


def test_old_segmentations_have_one_layer_for_each_segment(tmp_path: Path) -> None:
    first, second = (np.zeros(OBLIQUE.size[::-1], np.uint8) for _ in range(2))
    first[2:8], second[4:11] = 1, 1
    image = sitk.Compose(image_of(first), image_of(second))
    labels = segmentation(
        tmp_path / "s.seg.nrrd", image, {"Segment0_Name": "A", "Segment1_ID": "B"}
    )
    assert np.array_equal(labels.mask("A"), first == 1)
    assert np.array_equal(labels.mask("B"), second == 1)


def test_segment_fields_that_cannot_be_used(tmp_path: Path) -> None:
    array = np.zeros(OBLIQUE.size[::-1], np.uint8)
    array[3] = 1
    for fields, words in (
        ({"Segment0_Name": "A", "Segment0_LabelValue": "x"}, "not a number"),
        ({"Segment0_Name": "A", "Segment0_Layer": "4"}, "layer"),
    ):
        with pytest.raises(InputError, match=words):
            segmentation(tmp_path / "s.seg.nrrd", image_of(array), fields)

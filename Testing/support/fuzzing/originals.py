"""Whole files of every kind that rprloc reads, and what their readers make of them."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from rprloc.formats.dicom_files import read_dicom_header
from rprloc.geometry import Geometry
from rprloc.image.volume import Volume, read_volume
from rprloc.localization.template import Example, Template, TemplateTarget
from rprloc.model.card import CARD_NAME, read_card
from rprloc.targets.label_ids import read_label_ids
from rprloc.targets.loading import read_target_file
from support.phantoms import body_volume, dicom, written
from support.samples import LABEL_IDS, write_markups

#: So many voxels may differ, as damage within the voxels themselves cannot be noticed.
_FEW = 0.02
_MOST_MM = 1.0
_LATTICE = Geometry((16, 14, 12), np.array([9.0, 9.0, 12.0]), np.array([-60.0, 20, 5]), np.eye(3))


@dataclass(frozen=True)
class Original:
    """A file that is damaged, and how it is read.

    Attributes:
        kind: its name in reports.
        path: the damaged file; ``opened``: what is opened (the folder of a slice, say).
        data: its undamaged bytes. header: so many of them are header.
        read: reads ``opened``; raises RprLocError, or answers.
        differs: how an answer differs from the undamaged one without a note; empty if not.
        answer: the undamaged one.
        bare: its voxels follow as they are, so that damage among them cannot be noticed and only
            the header is damaged.
    """

    kind: str
    path: Path
    opened: Path
    data: bytes
    header: int
    read: Callable[[Path], Any]
    differs: Callable[[Any, Any], str]
    answer: Any
    bare: bool = False


def originals(folder: Path, model: Path) -> list[Original]:
    """Write one file of every kind below ``folder``; ``model``: folder of a model's card."""
    middle = _LATTICE.bounds().center
    ct = body_volume(_LATTICE, at=middle - [0, 0, 40], scale=0.25)
    images = [
        _image(folder / "nii" / "ct.nii", ct, 352),
        _image(folder / "nii.gz" / "ct.nii.gz", ct, 0),
        _image(folder / "nrrd" / "ct.nrrd", ct, 0, lattice_is_told_once=True),
        _image(folder / "nrrd.gz" / "ct.nrrd", ct, 0, packed=True, lattice_is_told_once=True),
        _image(folder / "mha" / "ct.mha", ct, 0, lattice_is_told_once=True),
        _image(folder / "mha.z" / "ct.mha", ct, 0, packed=True, lattice_is_told_once=True),
        _pair(folder / "img", ct),
        _slice(folder / "dicom", ct),
    ]
    objects = _dicom_objects(folder / "dicom objects", ct)
    return [*images, *objects, *_texts(folder), _template(folder), _card(folder, model)]


def _image(
    path: Path,
    ct: Volume,
    header: int,
    packed: bool = False,
    lattice_is_told_once: bool = False,
) -> Original:
    path.parent.mkdir(parents=True)
    written(path, ct.array, ct.geometry)
    if packed:
        sitk.WriteImage(sitk.ReadImage(str(path)), str(path), useCompression=True)
    data = path.read_bytes()
    if header == 0:
        header = _text_header(data)
    compare = voxels_differ if lattice_is_told_once else volumes_differ
    kind = path.parent.name
    answer = read_volume(path)
    bare = not packed and not path.name.endswith(".gz")
    return Original(kind, path, path, data, header, read_volume, compare, answer, bare)


def _text_header(data: bytes) -> int:
    for end in (b"\n\n", b"ElementDataFile = LOCAL\n"):
        if end in data:
            return data.index(end) + len(end)
    return len(data)


def _pair(folder: Path, ct: Volume) -> Original:
    folder.mkdir()
    image = written(folder / "ct.img", ct.array, ct.geometry)
    header = folder / "ct.hdr"
    data = header.read_bytes()
    answer = read_volume(image)
    return Original("hdr/img", header, image, data, 348, read_volume, volumes_differ, answer)


def _slice(folder: Path, ct: Volume) -> Original:
    dicom(folder, ct)
    headers = [header for path in folder.iterdir() if (header := read_dicom_header(path))]
    # In the middle, so that leaving it out leaves a gap.
    path = sorted(headers, key=lambda header: header.position[2])[6].path
    data = path.read_bytes()
    pixels = ct.array[0].size * 2
    header = len(data) - pixels
    answer = read_volume(folder)
    return Original("dicom", path, folder, data, header, read_volume, volumes_differ, answer)


def _dicom_objects(folder: Path, ct: Volume) -> list[Original]:
    """What only pydicom reads. Its lattice and scale are told once, so no other answer is wrong."""
    if importlib.util.find_spec("pydicom") is None:
        return []
    from support import dicom_objects

    folder.mkdir()
    slices = dicom(folder / "slices", ct)
    order = [int(n) for n in np.random.default_rng(0).permutation(ct.geometry.size[2])]
    files = {
        "enhanced": dicom_objects.enhanced(folder / "enhanced.dcm", slices, order),
        "SEG": dicom_objects.segmentation(folder / "seg.dcm", LABEL_IDS),
        "RTSTRUCT": dicom_objects.structures(
            folder / "rs.dcm", {"A": dicom_objects.ball(10.0), "B": dicom_objects.ball(5.0)}
        ),
    }
    found = []
    for kind, path in files.items():
        read = read_volume if kind == "enhanced" else read_target_file
        data = path.read_bytes()
        header = min(len(data), 6000)
        found.append(Original(kind, path, path, data, header, read, same, read(path)))
    return found


def _texts(folder: Path) -> list[Original]:
    """Markups and label ids: their numbers are the user's own, so no other answer is wrong."""
    fcsv = "# CoordinateSystem = LPS\n# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label\n"
    texts = {
        "ids.json": '{"Mandible": 7, "Larynx": 6}',
        "p.fcsv": f"{fcsv}1,1,2,3,0,0,0,1,1,1,0,A\n2,4,5,6,0,0,0,1,1,1,0,B\n",
        "r.acsv": "# Name = R\npoint|1|2|3|1|1\npoint|30|20|10|1|1\n",
        "p.mrk.json": write_markups(folder / "marks.json").read_text(encoding="utf-8"),
    }
    found = []
    for name, text in texts.items():
        path = folder / "texts" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        read = read_label_ids if name == "ids.json" else read_target_file
        data = path.read_bytes()
        found.append(Original(name, path, path, data, len(data), read, same, read(path)))
    return found


def _template(folder: Path) -> Original:
    rng = np.random.default_rng(0)
    numbers = [rng.normal(size=(6, n)).astype(np.float32) for n in (3, 3, 7)]
    example = Example("ct", np.float32([30, 20, 10]), *numbers, notes=("it is cut",))
    identity = {"name": "tiny", "version": "1", "coarse_sha256": "0" * 64}
    path = folder / "template.json"
    Template(identity, "phantom", (TemplateTarget("Organ", "box", (example,)),)).write(path)
    data = path.read_bytes()
    return Original(
        "template", path, path, data, len(data), Template.read, jsons_differ, Template.read(path)
    )


def _card(folder: Path, model: Path) -> Original:
    place = folder / "model"
    place.mkdir()
    shutil.copy(model / CARD_NAME, place / CARD_NAME)
    data = (place / CARD_NAME).read_bytes()
    return Original(
        *("model card", place / CARD_NAME, place, data, len(data)),
        *(read_card, jsons_differ, read_card(place)),
    )


def same(before: Any, after: Any) -> str:
    """For files whose every number is the user's."""
    return ""


def jsons_differ(before: Any, after: Any) -> str:
    """Compare what JSON files stand for."""
    texts = [json.dumps(answer.to_json(), sort_keys=True) for answer in (before, after)]
    return "" if texts[0] == texts[1] else "other content"


def voxels_differ(before: Volume, after: Volume) -> str:
    """Compare voxels alone: a lattice that is told once cannot contradict itself."""
    if set(after.notes) - set(before.notes):
        return ""
    if after.array.shape != before.array.shape:
        return f"voxels {after.array.shape} instead of {before.array.shape}"
    share = float(np.mean(np.abs(after.array.astype(int) - before.array) > 100))
    return f"{100 * share:.0f} % other voxels" if share > _FEW else ""


def volumes_differ(before: Volume, after: Volume) -> str:
    """Compare voxels and lattices, unless a note tells that something is odd."""
    found = voxels_differ(before, after)
    if found or set(after.notes) - set(before.notes):
        return found
    corners = [volume.geometry.bounds().corners().xyz for volume in (before, after)]
    away = float(np.linalg.norm(corners[0] - corners[1], axis=1).max())
    return f"{away:.1f} mm elsewhere" if away > _MOST_MM else ""

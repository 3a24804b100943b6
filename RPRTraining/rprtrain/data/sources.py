"""Where the CTs of a training come from: files and DICOM series, and whose they are."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rprloc.errors import InputError
from rprloc.formats.dicom_series import SeriesHeader, list_series
from rprloc.formats.discovery import is_label_map, walk
from rprloc.formats.reading import stem_of
from rprloc.image.volume import Volume, read_volume

# A folder with more volumes than this holds several patients.
MOST_OF_ONE_PATIENT = 8


@dataclass(frozen=True)
class ImageSource:
    """One volume on disk.

    Attributes:
        path: image file, or folder of a DICOM series.
        series: UID of the series where the folder holds several.
        name: unique among the sources listed together.
        group: equal for volumes of one patient.
        header: of the DICOM series; None for a file.
    """

    path: Path
    series: str = ""
    name: str = ""
    group: str = ""
    header: SeriesHeader | None = None

    def read(self) -> Volume:
        """The volume, under the source's name; raises InputError if it cannot be used."""
        volume = read_volume(self.path, self.series)
        return replace(volume, name=self.name) if self.name else volume

    def to_json(self) -> dict[str, str]:
        """A JSON object."""
        return {
            "path": str(self.path),
            "series": self.series,
            "name": self.name,
            "group": self.group,
        }

    @classmethod
    def from_json(cls, data: Any) -> ImageSource:
        """Inverse of ``to_json``; further keys are ignored. Raises InputError for anything else."""
        texts = [
            data.get(key, "") if isinstance(data, dict) else None
            for key in ("path", "series", "name", "group")
        ]
        if not all(isinstance(text, str) and "\0" not in text for text in texts) or not texts[0]:
            raise InputError("an image of the training is not given by its path")
        path, series, name, group = (str(text) for text in texts)
        name = name or stem_of(path)
        return cls(Path(path), series, name, group or name)


def find_images(folder: Path) -> list[Path]:
    """CT files and DICOM series folders under ``folder``, sorted; label maps are left out."""
    return list(dict.fromkeys(source.path for source in images_in(folder)))


def find_sources(folder: Path) -> list[ImageSource]:
    """List every volume under a folder, sorted, with unique names and the patients' groups.

    Label maps are among them. A DICOM folder is one that holds .dcm files, or files that begin like
    DICOM.

    Raises:
        InputError: without the folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    found = sorted(_volumes(folder), key=lambda s: (s.path, s.series))
    named = _named(found, folder)
    patients = _patient_folders(named, folder)
    return [replace(s, group=_group(s, patients)) for s in named]


def images_in(folder: Path) -> list[ImageSource]:
    """All volumes under a folder but label maps; raises InputError without the folder."""
    return [source for source in find_sources(folder) if not is_label_map(source.path)]


def held_out(patients: Sequence[tuple[str, str]], fraction: float = 0.05) -> list[bool]:
    """Choose the volumes that validate the training, by a hash of the patient.

    The same volumes have the same answer in any order, and all volumes of a patient the same. At
    least one patient is held out and one trained on; where all seem to be of one patient, they are
    split as if they were of several.

    Args:
        patients: (group, name) of every volume.
        fraction: of the volumes to hold out.

    Returns:
        For each volume, whether it is held out.
    """
    several = len({group or name for group, name in patients}) > 1
    keys = [(group or name) if several else name for group, name in patients]

    # Ranked by hash: adding a patient changes the choice as little as possible.
    ranked = sorted(set(keys), key=lambda key: hashlib.sha256(key.encode()).hexdigest())
    count = max(1, round(fraction * len(keys)))
    held: set[str] = set()
    for key in ranked[:-1]:
        if sum(k in held for k in keys) >= count:
            break
        held.add(key)
    return [key in held for key in keys]


def _volumes(folder: Path) -> Iterator[ImageSource]:
    for content in walk(folder):
        yield from (ImageSource(image) for image in content.images)
        if content.is_dicom:
            yield from _series(content.path)


def _series(folder: Path) -> list[ImageSource]:
    """The DICOM series of a folder; the folder itself, to tell of it, if they cannot be listed."""
    try:
        headers = list_series(folder)
    except RuntimeError:
        return [ImageSource(folder)]
    if not headers:
        return (
            [ImageSource(folder)]
            if any(p.suffix.lower() == ".dcm" for p in folder.iterdir())
            else []
        )
    several = len(headers) > 1
    return [ImageSource(folder, header.uid if several else "", header=header) for header in headers]


def _named(sources: Sequence[ImageSource], root: Path) -> list[ImageSource]:
    """The stem where it is unique, else the path below ``root``, else with a number behind it."""
    stems = Counter(stem_of(s.path) for s in sources)
    taken: set[str] = set()
    answer = []
    for source in sources:
        name = stem_of(source.path)
        if stems[name] > 1:
            parents = source.path.parent.relative_to(root).parts if source.path != root else ()
            name = "_".join([*parents, name])
        unique, number = name, 2
        while unique in taken:
            unique, number = f"{name}-{number}", number + 1
        taken.add(unique)
        answer.append(replace(source, name=unique))
    return answer


def _patient_folders(sources: Sequence[ImageSource], root: Path) -> list[Path]:
    """Folders that hold all of one patient: few volumes each, several such folders side by side."""
    counts: Counter[Path] = Counter()
    children: dict[Path, set[Path]] = {}
    for source in sources:
        chain = (
            [source.path, *source.path.parents]
            if source.path.is_dir()
            else list(source.path.parents)
        )
        for place in chain:
            if place == root:
                break
            counts[place] += 1
            children.setdefault(place.parent, set()).add(place)

    # From the root down: a folder that is not one patient's may hold folders that are.
    patients: list[Path] = []
    waiting = [root]
    while waiting:
        place = waiting.pop()
        inside = sorted(children.get(place, ()))
        for folder in inside:
            if len(inside) > 1 and counts[folder] <= MOST_OF_ONE_PATIENT:
                patients.append(folder)
            else:
                waiting.append(folder)
    return patients


def _group(source: ImageSource, patients: Sequence[Path]) -> str:
    if source.header is not None and source.header.patient:
        return f"patient {source.header.patient}"
    chain = [source.path, *source.path.parents]
    return next((f"folder {place.name}" for place in chain if place in patients), source.name)

"""Which DICOM files of a folder are the CT that is meant."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import InputError
from .dicom_files import DicomFile, kind_of_other
from .discovery import is_image, walk

_CT = ("", "CT")
#: So many names are listed.
_MOST_NAMED = 3
#: So many folders are looked at for a series that lies further below.
_MOST_FOLDERS = 300
#: As many files with a series UID each are an export that gave every slice its own.
_LEAST_SLICES = 3


@dataclass(frozen=True, eq=False)
class ChosenSeries:
    """The slices that are read, and what has to be said of the choice."""

    files: list[DicomFile]
    notes: tuple[str, ...] = ()


def by_series(files: Sequence[DicomFile]) -> dict[str, list[DicomFile]]:
    """The files by their series UID, which is sorted."""
    found: dict[str, list[DicomFile]] = {}
    for file in files:
        found.setdefault(file.series, []).append(file)
    return dict(sorted(found.items()))


def choose(
    folder: Path, files: Sequence[DicomFile], uid: str = "", *, compare: bool = True
) -> ChosenSeries:
    """Choose the series ``uid``, else the CT with most slices.

    compare: read files that lie at one place, to leave out copies. Raises InputError if there is
    no such series.
    """
    series = by_series(files)
    if uid:
        if uid not in series:
            raise InputError(f"{folder}: the folder holds no such DICOM series")
        found = _without_localizers(folder, ChosenSeries(series[uid]))
        return _without_copies(found) if compare else found
    if not series:
        raise InputError(f"{folder}: the folder holds no DICOM series{_instead(folder)}")

    cts = [found for found in series.values() if found[0].modality in _CT]
    if not cts:
        names = sorted({file.modality for file in files})
        what = f"series are of modalities {' and '.join(names)}"
        if len(series) == 1:
            what = f"series is of modality {names[0]}"
        raise InputError(f"{folder}: the DICOM {what}, but a CT is needed")

    alone = slices_alone(files)
    chosen = max([alone, *cts], key=_slices)
    if chosen is alone:
        found = _one_file_each(folder, alone)
    else:
        found = _without_localizers(folder, ChosenSeries(chosen))
    used = {file.path for file in chosen}
    others = [other for other in series.values() if other[0].path not in used]
    note = (_told(others, _slices(found.files)),) if others else ()
    found = replace(found, notes=(*note, *found.notes))
    return _without_copies(found) if compare else found


def slices_alone(files: Sequence[DicomFile]) -> list[DicomFile]:
    """The slices of a CT of which every file is a series of its own; empty if there are none.

    Some exports and anonymizers give a new series UID to every file. Scouts stay out: they are
    series of one file by right.
    """
    found = [
        series[0]
        for series in by_series(files).values()
        if len(series) == 1 and series[0].frames == 1 and series[0].modality in _CT
    ]
    slices = [file for file in found if not _is_localizer(file)]
    return slices if len(slices) >= _LEAST_SLICES else []


def _slices(files: list[DicomFile]) -> int:
    return sum(file.frames for file in files)


def _told(others: list[list[DicomFile]], slices: int) -> str:
    names = [f"{found[0].modality or 'CT'} of {_counted(_slices(found))}" for found in others]
    shown = ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
    return (
        f"the folder holds {len(others) + 1} DICOM series: the CT with most slices ({slices}) was "
        f"read (the others: {shown})"
    )


def _counted(slices: int) -> str:
    return f"{slices} slices" if slices != 1 else "1 slice"


def _one_file_each(folder: Path, files: list[DicomFile]) -> ChosenSeries:
    """Take files with a series UID each for one CT; whether they make a volume shows later."""
    alone = f"every one of the {len(files)} files is a DICOM series of its own"
    for name, what in (("study", "studies"), ("frame_of_reference", "frames of reference")):
        count = len({getattr(file, name) for file in files})
        if count > 1:
            raise InputError(
                f"{folder}: {alone}, and they are of {count} {what}: give a folder with the slices "
                "of one CT"
            )
    return ChosenSeries(files, (f"{alone}: taken as one CT",))


def _is_localizer(file: DicomFile) -> bool:
    return "LOCALIZER" in file.image_type.upper()


def _without_localizers(folder: Path, chosen: ChosenSeries) -> ChosenSeries:
    """Leave scout views out; they lie across the slices."""
    kept = [file for file in chosen.files if not _is_localizer(file)]
    left_out = len(chosen.files) - len(kept)
    if not kept:
        raise InputError(
            f"{folder}: the DICOM series is a localizer (scout view): give the CT that goes with it"
        )
    if not left_out:
        return chosen
    plural = "localizers were" if left_out > 1 else "localizer was"
    return ChosenSeries(kept, (*chosen.notes, f"{left_out} {plural} left out of the DICOM series"))


def _without_copies(chosen: ChosenSeries) -> ChosenSeries:
    """Leave out files that are, byte by byte, another one of the series under a second name."""
    places = Counter(file.position for file in chosen.files)
    seen: set[bytes] = set()
    kept = []
    for file in chosen.files:
        if places[file.position] > 1:
            digest = hashlib.sha256(file.path.read_bytes()).digest()
            if digest in seen:
                continue
            seen.add(digest)
        kept.append(file)
    count = len(chosen.files) - len(kept)
    if not count:
        return chosen
    plural = "files are copies of others and were" if count > 1 else "file is a copy and was"
    return ChosenSeries(kept, (*chosen.notes, f"{count} {plural} left out of the DICOM series"))


def _instead(folder: Path) -> str:
    """Say what to give instead of a folder without DICOM series."""
    inside = itertools.islice(walk(folder), _MOST_FOLDERS)
    below = [c.path.relative_to(folder) for c in inside if c.is_dicom and c.path != folder]
    if len(below) == 1:
        return f", but its subfolder {below[0]} does: give that"
    if below:
        named = ", ".join(map(str, below[:_MOST_NAMED])) + ", ..." * (len(below) > _MOST_NAMED)
        return f", but its subfolders do ({named}): give one of them"
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError:
        return ""
    images = [name for name in names if is_image(name)]
    if images:
        return f": give its image files themselves ({images[0]}, ...)"
    other = next((what for n in names if (what := kind_of_other(folder / n))), "")
    return f" (its file {other})" if other else ""

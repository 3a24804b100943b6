"""Which DICOM files of a folder are the CT that is meant."""

from __future__ import annotations

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


def choose(folder: Path, files: Sequence[DicomFile], uid: str = "") -> ChosenSeries:
    """Choose the series ``uid``, else the CT with most slices.

    Raises InputError if there is none.
    """
    series = by_series(files)
    if uid:
        if uid not in series:
            raise InputError(f"{folder}: the folder holds no such DICOM series")
        return _without_localizers(ChosenSeries(series[uid]))
    if not series:
        raise InputError(f"{folder}: the folder holds no DICOM series{_instead(folder)}")

    cts = {key: found for key, found in series.items() if found[0].modality in _CT}
    if not cts:
        names = " and ".join(sorted({file.modality for file in files}))
        raise InputError(f"{folder}: the DICOM series is of modality {names}, but a CT is needed")
    merged = _one_file_each(list(cts.values()))
    if merged is not None:
        return merged

    chosen = max(cts.values(), key=_slices)
    others = [found for found in series.values() if found is not chosen]
    notes = (_told(others, len(series), _slices(chosen)),) if others else ()
    return _without_localizers(ChosenSeries(chosen, notes))


def _slices(files: list[DicomFile]) -> int:
    return sum(file.frames for file in files)


def _told(others: list[list[DicomFile]], count: int, slices: int) -> str:
    names = [f"{found[0].modality or 'CT'} of {_slices(found)} slices" for found in others]
    shown = ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
    return (
        f"the folder holds {count} DICOM series: the CT with most slices ({slices}) was read "
        f"(the others: {shown})"
    )


def _one_file_each(series: list[list[DicomFile]]) -> ChosenSeries | None:
    """Take files with a series UID each for one CT, if they fit together; None if they are none."""
    if len(series) < _LEAST_SLICES or any(len(found) > 1 for found in series):
        return None
    files = [found[0] for found in series]
    if any(file.frames > 1 for file in files):
        return None
    alike = Counter((f.study, f.frame_of_reference, f.rows, f.columns, f.axes) for f in files)
    most, count = alike.most_common(1)[0]
    if count < _LEAST_SLICES or not all(file.position for file in files):
        return None
    kept = [
        file
        for file in files
        if (file.study, file.frame_of_reference, file.rows, file.columns, file.axes) == most
    ]
    note = f"every one of the {len(kept)} files is a DICOM series of its own: read as one CT"
    return ChosenSeries([replace(file, series="") for file in kept], (note,))


def _without_localizers(chosen: ChosenSeries) -> ChosenSeries:
    """Leave scout views out; they lie across the slices."""
    kept = [file for file in chosen.files if "LOCALIZER" not in file.image_type.upper()]
    left_out = len(chosen.files) - len(kept)
    if not kept or not left_out:
        return chosen
    plural = "localizers were" if left_out > 1 else "localizer was"
    return ChosenSeries(kept, (*chosen.notes, f"{left_out} {plural} left out of the DICOM series"))


def _instead(folder: Path) -> str:
    """Say what to give instead of a folder without DICOM series."""
    for count, content in enumerate(walk(folder)):
        if count > _MOST_FOLDERS:
            break
        if content.is_dicom and content.path != folder:
            return f", but its subfolder {content.path.relative_to(folder)} does: give that"
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError:
        return ""
    images = [name for name in names if is_image(name)]
    if images:
        return f": give its image files themselves ({images[0]}, ...)"
    other = next((what for n in names if (what := kind_of_other(folder / n))), "")
    return f" (its file {other})" if other else ""

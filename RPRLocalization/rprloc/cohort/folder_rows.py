"""From the files of one folder to rows of the index, judged by the gate's own rules."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError, explain_unexpected
from ..formats.dicom_choice import by_series, choose, slices_alone
from ..formats.dicom_files import DicomFile
from ..formats.dicom_multiframe import check_multiframe
from ..formats.dicom_series import COPY_AGAIN, check_series, check_whole, told_of_damaged
from ..formats.dicom_values import value_notes
from ..formats.reading import Lattice, read_lattice
from .header_scan import ScannedFile
from .index_rows import READABLE, REFUSED, IndexRow, lattice_fields, series_id
from .pseudonyms import Pseudonyms

_CT = ("", "CT")
#: Of an image file, this much of its beginning and of its end tells whether it has changed.
_ENDS_BYTES = 65536
_FINGERPRINT_DIGITS = 32


@dataclass
class FolderRows:
    """The rows of one folder, and how many series of other modalities it holds."""

    rows: list[IndexRow] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Place:
    """Where rows come from: the root of the walk, the folder, and who names the patients."""

    root: Path
    folder: Path
    pseudonyms: Pseudonyms | None = None

    def relative(self, path: Path) -> str:
        """Return a path from the root, with slashes."""
        return path.relative_to(self.root).as_posix()


def dicom_rows(place: Place, scanned: Sequence[ScannedFile]) -> FolderRows:
    """Return one row per CT series of a folder, whether it can be read or not."""
    found = FolderRows()
    whole = _without_copies([file for file in scanned if file.header is not None])
    damaged = [file.path for file in scanned if file.header is None]
    headers = [file.header for file in whole if file.header is not None]
    if damaged and not headers:
        reason = told_of_damaged(damaged, COPY_AGAIN)[0]
        found.rows.append(_row(place, "", list(scanned), REFUSED, reason))
        return found

    contents = {file.path: file for file in whole}
    for uid, files in _series(headers).items():
        if files[0].modality not in _CT:
            found.others[files[0].modality] += 1
            continue
        members = [contents[file.path] for file in files]
        found.rows.append(_judged(place, uid, headers, members, damaged))
    return found


def _series(headers: Sequence[DicomFile]) -> dict[str, list[DicomFile]]:
    """Return the series by UID; slices that are a series each under the UID ''."""
    alone = slices_alone(headers)
    used = {file.path for file in alone}
    series = by_series([file for file in headers if file.path not in used])
    return {**series, "": alone} if alone else series


def _without_copies(files: Sequence[ScannedFile]) -> list[ScannedFile]:
    """Leave out files whose headers, and lengths, are those of another one."""
    return list({file.content: file for file in reversed(files)}.values())[::-1]


def _judged(
    place: Place,
    uid: str,
    headers: Sequence[DicomFile],
    members: list[ScannedFile],
    damaged: Sequence[Path],
) -> IndexRow:
    """Judge one series as the gate will, but for its voxels."""
    try:
        chosen = choose(place.folder, headers, uid, compare=False)
        paths = {file.path for file in members}
        if not paths.issuperset(file.path for file in chosen.files):
            raise InputError(
                f"every one of {len(members)} slices is a series of its own, and the folder holds "
                "a larger CT: move them into a folder of their own"
            )
        stack = check_series(chosen.files)
        for file in chosen.files:
            check_whole(file)
        one = chosen.files[0]
        geometry = check_multiframe(one.path) if stack is None else stack.geometry
    except (InputError, OSError) as error:
        told = told_of_damaged(damaged, COPY_AGAIN)
        reason = "; ".join([_short(place, error), *told])
        return _row(place, uid, members, REFUSED, reason)
    except Exception as error:
        return _row(place, uid, members, REFUSED, explain_unexpected(error))
    notes = (*chosen.notes, *value_notes(chosen.files), *told_of_damaged(damaged))
    return _row(place, uid, members, READABLE, "; ".join(notes), lattice_fields(geometry))


def _short(place: Place, error: Exception) -> str:
    """Return the text of an error without the folder, which the row has."""
    return " ".join(str(error).removeprefix(f"{place.folder}: ").split())


def _row(
    place: Place,
    uid: str,
    files: Sequence[ScannedFile],
    verdict: Any,
    reason: str,
    lattice: dict[str, Any] | None = None,
) -> IndexRow:
    path = place.relative(place.folder)
    names: dict[str, Any] = {}
    header = next((file.header for file in files if file.header is not None), None)
    if place.pseudonyms is not None and header is not None:
        names["patient"] = place.pseudonyms.of("patient", header.patient)
        names["study"] = place.pseudonyms.of("study", header.study)
    return IndexRow(
        series_id=series_id(path, uid),
        path=path,
        format="dicom",
        files=len(files),
        bytes=sum(file.bytes for file in files),
        verdict=verdict,
        reason=reason,
        fingerprint=_digest(file.content or f"{file.path.name}\0{file.bytes}" for file in files),
        **names,
        **(lattice or {}),
    )


def image_row(place: Place, path: Path) -> IndexRow:
    """Return the row of an image file, judged by its header."""
    lattice: Lattice | None = None
    try:
        lattice = read_lattice(path)
        reason = "; ".join(lattice.notes)
    except InputError as error:
        reason = " ".join(str(error).removeprefix(f"{path}: ").split())
    except Exception as error:
        reason = explain_unexpected(error)
    relative = place.relative(path)
    size, content = _ends(path)
    return IndexRow(
        series_id=series_id(relative, ""),
        path=relative,
        format=_format(path),
        files=1,
        bytes=size,
        verdict=REFUSED if lattice is None else READABLE,
        reason=reason,
        fingerprint=_digest([f"{size}", content]),
        **({} if lattice is None else lattice_fields(lattice.geometry)),
    )


def _format(path: Path) -> str:
    suffixes = {".nrrd": "nrrd", ".nhdr": "nrrd", ".mha": "metaimage", ".mhd": "metaimage"}
    return suffixes.get(path.suffix.lower(), "nifti")


def _ends(path: Path) -> tuple[int, str]:
    """Return the length of a file, and a digest of its beginning and end."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as stream:
            digest.update(stream.read(_ENDS_BYTES))
            size = stream.seek(0, 2)
            stream.seek(max(0, size - _ENDS_BYTES))
            digest.update(stream.read(_ENDS_BYTES))
    except OSError:
        return 0, ""
    return size, digest.hexdigest()


def _digest(parts: Iterable[str]) -> str:
    joined = "\0".join(sorted(parts))
    return hashlib.sha256(joined.encode()).hexdigest()[:_FINGERPRINT_DIGITS]

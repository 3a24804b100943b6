"""A look at every volume before a training: what it is, whether it is used, and if not, why."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rprloc.errors import InputError
from rprloc.formats.discovery import is_label_map
from rprloc.formats.reading import read_header
from rprloc.image.body import body_mask
from rprloc.image.volume import Volume

from .sources import ImageSource, find_sources

# Localizers and thin slabs show too little of a body to train on.
LEAST_SLICES = 8
LEAST_MM = 40.0
# The body is measured on a copy as coarse as this: fast, and exact enough to choose settings.
_BODY_VOXEL_MM = 5.0

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class ScanRow:
    """One volume and the verdict on it.

    Attributes:
        path, series, name, group: as in ``ImageSource``.
        size, spacing: voxels and mm along i, j, k; empty where the file does not tell.
        hu: lowest and highest value in HU; empty where the voxels were not read.
        z_mm: extent from the feet towards the head; 0 where they were not read.
        body_mm: extent of the body (x, y, z); empty where they were not read.
        used: whether the training uses it.
        reason: why not, in one line; of a volume that is used, what is odd about it.
        sha256: of the voxels; equal for the same image in another file.
    """

    path: str
    series: str
    name: str
    group: str
    size: tuple[int, ...] = ()
    spacing: tuple[float, ...] = ()
    hu: tuple[int, ...] = ()
    z_mm: float = 0.0
    body_mm: tuple[float, ...] = ()
    used: bool = False
    reason: str = ""
    sha256: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON object with lists for tuples."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, data: Any) -> ScanRow:
        """Inverse of ``to_json``; further keys are ignored. Raises InputError for anything else."""
        source = ImageSource.from_json(data)
        try:
            size, hu = (tuple(int(n) for n in data.get(key, ())) for key in ("size", "hu"))
            spacing, body = (
                tuple(float(n) for n in data.get(key, ())) for key in ("spacing", "body_mm")
            )
            return cls(
                str(source.path),
                *(source.series, source.name, source.group, size, spacing, hu),
                *(float(data.get("z_mm", 0.0)), body, data.get("used") is True),
                *(str(data.get("reason", "")), str(data.get("sha256", ""))),
            )
        except (TypeError, ValueError) as error:
            raise InputError(f"{source.path}: a damaged row of a scan") from error

    @property
    def source(self) -> ImageSource:
        """The volume to train on."""
        return ImageSource(Path(self.path), self.series, self.name, self.group)


Progress = Callable[[int, int, ScanRow], None]


def scan_folder(
    folder: Path,
    progress: Progress = lambda done, total, row: None,
    stop: Callable[[], bool] = lambda: False,
) -> list[ScanRow]:
    """Judge every volume under a folder (nested; files and DICOM series), sorted.

    The voxels are read, once, only where the header speaks for a CT.

    Args:
        folder: where to look.
        progress: gets (done, total, row) after each.
        stop: asked before each; True ends the scan with what is there.

    Raises:
        InputError: if the folder is missing.
    """
    sources = find_sources(folder)
    seen: dict[str, str] = {}
    rows: list[ScanRow] = []
    for source in sources:
        if stop():
            break
        row = scan_volume(source)
        if row.used and row.sha256 in seen:
            row = replace(row, used=False, reason=f"the same voxels as {seen[row.sha256]}")
        elif row.used:
            seen[row.sha256] = row.name
        rows.append(row)
        progress(len(rows), len(sources), row)
    return rows


def scan_volume(source: ImageSource) -> ScanRow:
    """The row of one volume; whatever is wrong with it becomes the reason."""
    row = ScanRow(str(source.path), source.series, source.name, source.group)
    try:
        row = _with_header(row, source)
        volume = source.read()
        judged = _judged(_with_voxels(row, volume))
        return replace(judged, reason="; ".join(volume.notes)) if judged.used else judged
    except _LeftOutError as error:
        return replace(error.row, reason=str(error))
    except InputError as error:
        reason = " ".join(str(error).split())
        for prefix in (f"{source.path}: ", f"{source.name}: "):
            reason = reason.removeprefix(prefix)
        return replace(row, reason=reason)


class _LeftOutError(Exception):
    """The header alone says that a volume is not used; ``row``: what it tells."""

    def __init__(self, row: ScanRow, reason: str) -> None:
        super().__init__(reason)
        self.row = row


def _with_header(row: ScanRow, source: ImageSource) -> ScanRow:
    if source.header is not None:
        row = replace(row, size=source.header.size)
        if source.header.modality not in ("", "CT"):
            raise _LeftOutError(row, f"not a CT (modality {source.header.modality})")
    elif is_label_map(source.path):
        raise _LeftOutError(row, "a label map, by its name")
    elif source.path.is_file():
        header = read_header(source.path)
        row = replace(row, size=header.size, spacing=tuple(round(s, 4) for s in header.spacing))
        if header.parts != 1:
            raise _LeftOutError(row, f"not a CT ({header.parts} numbers per voxel)")
        if len(header.size) < 3 or min(header.size[:3]) < 2:
            raise _LeftOutError(row, "a 2D image")
        if any(n > 1 for n in header.size[3:]):
            raise _LeftOutError(row, f"{len(header.size)}D: several volumes in one file")
    if row.size and min(row.size[:3]) < LEAST_SLICES:
        raise _LeftOutError(row, f"too few slices ({min(row.size[:3])})")
    return row


def _with_voxels(row: ScanRow, volume: Volume) -> ScanRow:
    digest = hashlib.sha256(repr(volume.array.shape).encode())
    digest.update(np.ascontiguousarray(volume.array).data)
    extent = body_extent(volume)
    return replace(
        row,
        size=volume.geometry.size,
        spacing=tuple(round(float(s), 4) for s in volume.geometry.spacing),
        hu=(int(volume.array.min()), int(volume.array.max())),
        z_mm=round(float(volume.geometry.bounds().size[2]), 1),
        body_mm=tuple(round(n, 1) for n in extent),
        sha256=digest.hexdigest(),
    )


def _judged(row: ScanRow) -> ScanRow:
    if row.z_mm < LEAST_MM:
        return replace(
            row,
            reason=f"too short: {row.z_mm:g} mm from feet to head,"
            f" at least {LEAST_MM:g} are needed",
        )
    if not row.body_mm:
        return replace(row, reason="no body in the volume")
    return replace(row, used=True)


def body_extent(volume: Volume) -> tuple[float, ...]:
    """Measure the body along x, y, z in mm, to about 5 mm; empty without one.

    Tilted axes count as the nearest of the patient's.
    """
    geometry = volume.geometry
    steps = [max(1, int(_BODY_VOXEL_MM / s)) for s in geometry.spacing]
    hu = volume.array[:: steps[2], :: steps[1], :: steps[0]].transpose(2, 1, 0)
    axes = [int(np.abs(geometry.direction[:, c]).argmax()) for c in range(3)]
    if sorted(axes) != [0, 1, 2]:
        axes = [0, 1, 2]
    spacing = [float(geometry.spacing[axes.index(a)]) * steps[axes.index(a)] for a in range(3)]
    hu = hu.transpose([axes.index(a) for a in range(3)])

    # ``body_mask`` expects axes along +S, +P, +L.
    flips = tuple(
        slice(None, None, -1 if geometry.direction[a, axes.index(a)] < 0 else 1) for a in range(3)
    )
    zyx = np.ascontiguousarray(hu[flips].transpose(2, 1, 0)).astype(np.float32)
    mask = body_mask(zyx, (spacing[2], spacing[1], spacing[0]))
    if not mask.any():
        return ()

    layers = [
        np.flatnonzero(mask.any(axis=tuple(2 - b for b in range(3) if b != a))) for a in range(3)
    ]
    return tuple(float(used[-1] - used[0] + 1) * spacing[a] for a, used in enumerate(layers))

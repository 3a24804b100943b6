"""Do the values of DICOM files count as Hounsfield units, and how sure is that?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..errors import InputError
from .dicom_files import DicomFile

#: CT, and enhanced CT as scanners and converters write it.
CT_CLASSES: Final = (
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.2.1",
    "1.2.840.10008.5.1.4.1.1.2.2",
)
NO_RESCALE: Final = (
    "the files do not say how their values become HU (rescale slope and intercept): taken as HU"
)


def check_values(files: Sequence[DicomFile]) -> None:
    """Raise InputError if files hold no gray values, or none that can be turned into HU."""
    for file in files:
        if file.samples != 1:
            raise InputError(
                f"expected one number per voxel, but this image has {file.samples}: colour "
                "pictures, no CT"
            )
        check_photometric(file.photometric)
        slope, intercept = file.storage[-2:]
        check_rescale(slope, slope=True)
        check_rescale(intercept, slope=False)


def check_photometric(kind: str) -> None:
    """Raise InputError unless larger values are brighter ones."""
    # GDCM turns MONOCHROME1 round, which gives air the values of bone.
    if kind not in ("", "MONOCHROME2"):
        raise InputError(
            f"the values are stored as {kind}, and not as gray values of a CT (MONOCHROME2): "
            "export the original CT"
        )


def check_rescale(text: str, *, slope: bool) -> None:
    """Raise InputError if a slope or intercept is given, but is no number that can be used."""
    name = "RescaleSlope" if slope else "RescaleIntercept"
    try:
        value = float(text) if text else 1.0
    except ValueError:
        value = float("nan")
    # NaN is not below the limit either.
    if not abs(value) < 1e6 or (slope and value == 0):
        raise InputError(f"the values cannot become HU: {name} is {text}")


def value_notes(files: Sequence[DicomFile]) -> tuple[str, ...]:
    """Say what leaves a doubt about the values of slices, or that they belong together."""
    notes = []
    if any("" in file.storage[-2:] for file in files):
        notes.append(NO_RESCALE)
    notes += [unit_note(unit) for unit in sorted({file.rescale_type for file in files}) if unit]
    if any(not file.modality and file.sop_class not in CT_CLASSES for file in files):
        notes.append("the files do not say that they are a CT (Modality)")
    for name, what in (("study", "studies"), ("frame_of_reference", "frames of reference")):
        count = len({getattr(file, name) for file in files})
        if count > 1:
            notes.append(f"the slices are of {count} {what}, though of one DICOM series")
    if len({(file.storage, file.photometric, file.image_type) for file in files}) > 1:
        notes.append("the slices differ in how their values are stored (rescale, bits, image type)")
    longer = [file.path.name for file in files if file.longer]
    if longer and len(longer) < len(files):
        notes.append(f"some slices are longer than they say ({longer[0]}, ...)")
    return tuple(note for note in notes if note)


def unit_note(unit: str) -> str:
    """Say that the unit of the values is another one; empty for HU, or if it is not told."""
    if unit.upper() in ("HU", "US", ""):
        return ""
    return f"the values are of the type {unit} and not HU (RescaleType)"

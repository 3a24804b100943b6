"""Results as a DICOM structured report: TID 1500, one measurement group per target.

A box is the closed surface of its six faces (SCOORD3D polygons), a landmark a point, both in the
frame of reference of the series. Targets that were not found are groups without coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import __version__
from ..geometry import Box, FloatArray
from ..localization.result import Result
from ..localization.status import Status
from .codes import SCHEME, code_of, own_code
from .source_series import SourceSeries

NAME = "RPRLoc"
_MEANINGS: dict[Status, str] = {
    "ok": "Found",
    "low-confidence": "Found with low confidence",
    "outside": "Seems to lie outside of the scan",
    "failed": "Could not be sought",
}
#: Corners of the faces of a box: where its lower (0) and upper (1) ends are, along x, y and z.
_FACES = (
    *(((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)), ((0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1))),
    *(((0, 0, 0), (1, 0, 0), (1, 0, 1), (0, 0, 1)), ((0, 1, 0), (1, 1, 0), (1, 1, 1), (0, 1, 1))),
    *(((0, 0, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1)), ((1, 0, 0), (1, 1, 0), (1, 1, 1), (1, 0, 1))),
)


def report_of(source: SourceSeries, results: Sequence[Result], model: dict[str, str]) -> Any:
    """Return the data set of a report on a series.

    model: identity of the model, whose name and version identify the algorithm with ours.
    """
    import highdicom as hd
    from pydicom.uid import generate_uid

    groups = [_group(source, result, model) for result in results]
    content = hd.sr.MeasurementReport(
        observation_context=_observer(),
        procedure_reported=hd.sr.CodedConcept("25045-6", "LN", "CT unspecified body region"),
        imaging_measurements=groups,
        title=hd.sr.CodedConcept("126000", "DCM", "Imaging Measurement Report"),
    )
    data = hd.sr.Comprehensive3DSR(
        evidence=list(source.slices),
        content=content[0],
        series_instance_uid=generate_uid(),
        series_number=9001,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer=NAME,
        is_complete=True,
        series_description=f"{NAME} {__version__}: research, not for diagnosis",
    )
    # Names of targets are in any script, whatever the series is written in.
    data.SpecificCharacterSet = "ISO_IR 192"
    data.CodingSchemeIdentificationSequence = [_scheme()]
    return data


def _scheme() -> Any:
    """Say whose the codes are that no standard has."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CodingSchemeDesignator = SCHEME
    item.CodingSchemeName = f"Codes of {NAME}, and names of its users' targets"
    return item


def _observer() -> Any:
    import highdicom as hd
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    device = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=generate_uid(entropy_srcs=[NAME, __version__]),
        name=NAME,
        manufacturer_name=NAME,
        model_name=f"{NAME} {__version__}",
    )
    return hd.sr.ObservationContext(
        observer_device_context=hd.sr.ObserverContext(codes.DCM.Device, device)
    )


def _group(source: SourceSeries, result: Result, model: dict[str, str]) -> Any:
    """Return the measurement group of one target."""
    import highdicom as hd
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    target = code_of(result.target)
    told: dict[str, Any] = {
        "tracking_identifier": hd.sr.TrackingIdentifier(generate_uid(), _text(result.target)),
        "finding_category": codes.SCT.AnatomicalStructure,
        "finding_type": target.code,
        "algorithm_id": _algorithm(model),
        "measurements": _measurements(result) or None,
        "qualitative_evaluations": [_status(result.status)],
    }
    if target.known:
        told["finding_sites"] = [hd.sr.FindingSite(target.code, laterality=target.side)]
    if not result.found or result.center is None:
        return hd.sr.MeasurementsAndQualitativeEvaluations(**told)
    if result.box is None:
        point = np.asarray(result.center, dtype=np.float64)[None]
        region = hd.sr.ImageRegion3D("POINT", point, source.frame_of_reference)
        return hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            referenced_region=region, **told
        )
    surface = hd.sr.VolumeSurface(
        "POLYGON", _faces(result.box), source.frame_of_reference, **_origin(source)
    )
    return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        referenced_volume_surface=surface, **told
    )


def _faces(box: Box) -> list[FloatArray]:
    """Return the closed outlines (5, 3) of the six faces of a box, LPS mm."""
    ends = np.stack([box.lower, box.upper])
    faces = np.array([[*face, face[0]] for face in _FACES])
    return [ends[face, np.arange(3)] for face in faces]


def _origin(source: SourceSeries) -> dict[str, Any]:
    """Return what a surface was found in: the series, or its images where each is its own."""
    import highdicom as hd

    series = {str(data.SeriesInstanceUID) for data in source.slices}
    if len(series) == 1:
        return {"source_series": hd.sr.SourceSeriesForSegmentation(series.pop())}
    pairs = [(data.SOPClassUID, data.SOPInstanceUID) for data in source.slices]
    return {"source_images": [hd.sr.SourceImageForSegmentation(*pair) for pair in pairs]}


def _algorithm(model: dict[str, str]) -> Any:
    import highdicom as hd

    about = [f"model {model.get('name', '?')} {model.get('version', '?')}"] if model else None
    return hd.sr.AlgorithmIdentification(NAME, __version__, parameters=about)


def _measurements(result: Result) -> list[Any]:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    named = (
        (own_code("spread", "Scatter of the votes for the position"), result.spread_mm),
        (own_code("cycle", "Distance after mapping back to the reference"), result.cycle_mm),
    )
    return [
        hd.sr.Measurement(code, round(float(value), 3), codes.UCUM.Millimeter)
        for code, value in named
        if value is not None
    ]


def _status(status: Status) -> Any:
    import highdicom as hd

    name = own_code("status", "Status of the localization")
    return hd.sr.QualitativeEvaluation(name, own_code(status, _MEANINGS[status]))


def _text(name: str) -> str:
    return " ".join(name.split()) or "target"

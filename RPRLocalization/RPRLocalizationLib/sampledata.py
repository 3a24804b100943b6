"""The synthetic sample patients in the Sample Data module, from the extension's own files.

Works offline.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

FOLDER = Path(__file__).resolve().parent.parent / "Resources" / "SampleData"
ICONS = Path(__file__).resolve().parent.parent / "Resources" / "Icons"
CATEGORY = "RPRLoc"
REFERENCE, QUERY = "RPRLocSyntheticReference", "RPRLocSyntheticQuery"
_FILES = {REFERENCE: "reference", QUERY: "query"}


def registerSampleData() -> None:
    """Add the samples to the Sample Data module, if this Slicer has it."""
    try:
        import SampleData
    except ImportError:
        return

    logic = SampleData.SampleDataLogic
    for name, file in _FILES.items():
        logic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=name,
            thumbnailFileName=str(ICONS / f"{name}.png"),
            uris=(FOLDER / f"{file}.nii.gz").as_uri(),
            fileNames=f"{file}.nii.gz",
            nodeNames=name,
            customDownloader=loadSource,
        )


def loadSource(source: Any) -> list[Any]:
    """What the button of the Sample Data module calls.

    A function, so that registering twice is noticed.
    """
    return loadSample(source.sampleName)


def loadSample(name: str) -> list[Any]:
    """Load a sample CT; the reference comes with a segmentation of its organs. Gives the nodes."""
    stem = _FILES[name]
    volume = slicer.util.loadVolume(str(FOLDER / f"{stem}.nii.gz"), {"name": name, "show": True})
    volume.SetDescription(_("Synthetic: an average over many CTs, randomly deformed. No patient."))
    display = volume.GetDisplayNode()
    if display is not None:
        display.AutoWindowLevelOff()
        display.SetWindowLevel(400, 40)
    if name != REFERENCE:
        return [volume]
    if not hasattr(slicer.modules, "segmentations"):
        logging.warning("RPRLoc: the organs need the Segmentations module, which is missing")
        return [volume]
    return [volume, loadOrgans(stem, _("{name} organs").format(name=name))]


def loadOrgans(stem: str, title: str) -> Any:
    """The organs of a sample CT as a segmentation node with a segment per organ, named."""
    labels = slicer.util.loadLabelVolume(str(FOLDER / f"{stem}.labels.nii.gz"), {"show": False})
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", title)
    node.CreateDefaultDisplayNodes()
    try:
        ids = json.loads((FOLDER / "label_ids.json").read_text(encoding="utf-8"))
        names = {value: organ for organ, value in ids.items()}
        slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(labels, node)
        segmentation = node.GetSegmentation()
        for segment in (
            segmentation.GetNthSegment(n) for n in range(segmentation.GetNumberOfSegments())
        ):
            segment.SetName(names.get(segment.GetLabelValue(), segment.GetName()))
    finally:
        slicer.mrmlScene.RemoveNode(labels)
    return node

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

RESOURCES = Path(__file__).resolve().parent.parent / "Resources"
ICONS = RESOURCES / "Icons"
CATEGORY = "RPRLoc"
REFERENCE, QUERY = "RPRLocSyntheticReference", "RPRLocSyntheticQuery"
TRUNK_REFERENCE, TRUNK_QUERY = "RPRLocSyntheticTrunkReference", "RPRLocSyntheticTrunkQuery"
_FILES = {
    REFERENCE: RESOURCES / "SampleData" / "reference",
    QUERY: RESOURCES / "SampleData" / "query",
    TRUNK_REFERENCE: RESOURCES / "SampleDataTrunk" / "reference",
    TRUNK_QUERY: RESOURCES / "SampleDataTrunk" / "query",
}


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
            uris=file.with_name(f"{file.name}.nii.gz").as_uri(),
            fileNames=f"{name}.nii.gz",
            nodeNames=name,
            customDownloader=loadSource,
        )


def loadSource(source: Any) -> list[Any]:
    """What the button of the Sample Data module calls.

    A function, so that registering twice is noticed.
    """
    return loadSample(source.sampleName)


def loadSample(name: str) -> list[Any]:
    """Load a sample CT. Gives the nodes.

    A reference comes with a segmentation of its organs, that of the trunk with landmarks too.
    """
    file = _FILES[name]
    volume = slicer.util.loadVolume(f"{file}.nii.gz", {"name": name, "show": True})
    volume.SetDescription(_("Synthetic: an average over many CTs, randomly deformed. No patient."))
    display = volume.GetDisplayNode()
    if display is not None:
        display.AutoWindowLevelOff()
        display.SetWindowLevel(400, 40)
    if name not in (REFERENCE, TRUNK_REFERENCE):
        return [volume]
    return [volume, *loadOrgans(file, name), *loadLandmarks(file, name)]


def loadOrgans(file: Path, name: str) -> list[Any]:
    """The organs of a sample CT; none where Slicer lacks what they need."""
    if not hasattr(slicer.modules, "segmentations"):
        logging.warning("RPRLoc: the organs need the Segmentations module, which is missing")
        return []
    return [segmentationOf(file, _("{name} organs").format(name=name))]


def loadLandmarks(file: Path, name: str) -> list[Any]:
    """The landmarks of a sample CT, hidden; none if it has none."""
    path = Path(f"{file}.landmarks.mrk.json")
    if not path.is_file():
        return []
    node = slicer.util.loadMarkups(str(path))
    node.SetName(slicer.mrmlScene.GenerateUniqueName(_("{name} landmarks").format(name=name)))
    node.GetDisplayNode().SetVisibility(False)
    return [node]


def segmentationOf(file: Path, title: str) -> Any:
    """The organs of a sample CT as a segmentation node with a segment per organ, named."""
    labels = slicer.util.loadLabelVolume(f"{file}.labels.nii.gz", {"show": False})
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", title)
    node.CreateDefaultDisplayNodes()
    try:
        ids = json.loads(file.with_name("label_ids.json").read_text(encoding="utf-8"))
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

"""Showing a result: its CT in the slice views, the slices at its place, its nodes and not those of other patients."""

from __future__ import annotations

import os

import slicer
from slicer.i18n import tr as _

from rprloc.errors import InputError

from . import conversion


def showRow(run, index: int) -> None:
    """Show the CT of a row in the slice views (the layout stays) and go to its place, if it has one."""
    volume = run.volume(index)
    if volume is not None and not _isBackground(volume):
        slicer.util.setSliceViewerLayers(background=volume, fit=True)
    showOnlyQuery(run, index)
    row = run.rows[index]
    if row.found and volume is not None:
        jumpTo(conversion.lpsToRas(row.center))


def loadCt(path: str, name: str):
    """Load a CT file, or the series of a DICOM folder; gives the volume node. Raises InputError."""
    file = path
    if os.path.isdir(path):
        # Slicer's archetype reader takes the series that the first file belongs to.
        files = sorted(entry for entry in os.listdir(path) if not entry.startswith("."))
        file = os.path.join(path, files[0]) if files else path
    try:
        return slicer.util.loadVolume(file, {"name": name, "show": False})
    except RuntimeError as error:
        raise InputError(_("{path} could not be loaded.").format(path=path)) from error


def jumpTo(ras) -> None:
    """Centre every slice view on a position in world RAS."""
    scene = slicer.mrmlScene
    for n in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceNode")):
        scene.GetNthNodeByClass(n, "vtkMRMLSliceNode").JumpSliceByCentering(*map(float, ras))


def showOnlyQuery(run, index: int) -> None:
    """Hide the results of other CTs, which lie in other patients, and give handles to the chosen box alone."""
    query, chosen = run.rows[index].query, run.result(index)
    for n, row in enumerate(run.rows):
        for node in (run.result(n), run.pointsNode(n)):
            if node is None or node.GetDisplayNode() is None:
                continue
            display = node.GetDisplayNode()
            display.SetVisibility(row.query == query)
            if node.IsA("vtkMRMLMarkupsROINode"):
                display.SetHandlesInteractive(node is chosen)


def cropTo(volume, roi, name: str):
    """Crop a volume to an ROI with Slicer's Crop Volume; gives the new volume. Raises InputError."""
    module = getattr(slicer.modules, "cropvolume", None)
    if module is None:
        raise InputError(_("This Slicer has no Crop Volume module."))
    scene = slicer.mrmlScene
    parameters = scene.AddNewNodeByClass("vtkMRMLCropVolumeParametersNode")
    output = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", scene.GenerateUniqueName(name))
    try:
        parameters.SetInputVolumeNodeID(volume.GetID())
        parameters.SetROINodeID(roi.GetID())
        parameters.SetOutputVolumeNodeID(output.GetID())
        logic = module.logic()
        parameters.SetVoxelBased(logic.IsROIAlignedWithInputVolume(parameters))
        failed = logic.Apply(parameters) != 0
        if (
            failed
            or output.GetImageData() is None
            or min(output.GetImageData().GetDimensions()) < 1
        ):
            scene.RemoveNode(output)
            raise InputError(_("Crop Volume could not crop: the box does not lie in the CT."))
    finally:
        scene.RemoveNode(parameters)
    return output


def _isBackground(volume) -> bool:
    """True if every slice view shows the volume already: then its zoom is left alone."""
    scene = slicer.mrmlScene
    composites = [
        scene.GetNthNodeByClass(n, "vtkMRMLSliceCompositeNode")
        for n in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode"))
    ]
    return all(node.GetBackgroundVolumeID() == volume.GetID() for node in composites)

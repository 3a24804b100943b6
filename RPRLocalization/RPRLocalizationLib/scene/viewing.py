"""Showing a result: its CT, zoomed to the results; slices through it; no other patient's nodes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from rprloc.errors import InputError
from rprloc.formats.discovery import is_dicom_file

from . import conversion
from .resultrows import Run

# Around the results, so that an organ is seen with its surroundings, not only its box.
SURROUNDINGS_MM = 25.0
# A place nearer to the edge of a view than this part of its size is not seen well.
EDGE_FRACTION = 0.05
# Of a volume that was cropped here: most of the body is missing in it.
CROPPED_ATTRIBUTE = "RPRLoc.Cropped"


def showRow(run: Run, index: int) -> None:
    """Show the CT of a row (the layout stays) and go to its place, if it has one.

    A CT that was not shown is zoomed to its results, equally in all views; the zoom of one that
    was shown is the user's and stays.
    """
    volume, row = run.volume(index), run.rows[index]
    if volume is not None and not _isBackground(volume):
        slicer.util.setSliceViewerLayers(background=volume, fit=True)
        corners = resultCorners(run, row.query)
        if len(corners):
            zoomTo(corners)

    showOnlyQuery(run, index)
    if row.found and volume is not None:
        jumpTo(conversion.lpsToRas(row.center))


def resultCorners(run: Run, query: str) -> np.ndarray:
    """Lower and upper corners of every located box or landmark of a query: (2 n, 3), RAS mm."""
    found = [row for row in run.rows if row.query == query and row.found]
    halves = [np.zeros(3) if row.size is None else np.asarray(row.size) / 2 for row in found]
    centers = [np.asarray(conversion.lpsToRas(row.center), float) for row in found]
    pairs = [[c - half, c + half] for c, half in zip(centers, halves, strict=True)]
    return np.array(pairs, float).reshape(-1, 3)


def zoomTo(points: np.ndarray) -> None:
    """Centre the slice views on points (n, 3; world RAS mm), all at a zoom that shows them all.

    One zoom for all views, because sizes could not be compared between them otherwise.
    """
    nodes = _shownSliceNodes()
    lower, upper = np.min(points, axis=0), np.max(points, axis=0)
    size = upper - lower + 2 * SURROUNDINGS_MM
    mmPerPixel = 0.0
    for node in nodes:
        axes = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())[:3, :2]
        # The extent of an upright box along a direction, which may be oblique.
        extent = np.abs(axes).T @ size
        mmPerPixel = max(mmPerPixel, *(extent / np.maximum(node.GetDimensions()[:2], 1)))

    for node in nodes:
        width, height = (mmPerPixel * pixels for pixels in node.GetDimensions()[:2])
        node.SetFieldOfView(width, height, node.GetFieldOfView()[2])
        node.JumpSliceByCentering(*((lower + upper) / 2).tolist())


def loadCt(path: str, name: str) -> Any:
    """Load a CT file, or the series of a DICOM folder; gives the volume node. Raises InputError."""
    try:
        # Slicer's archetype reader takes the series that the file belongs to.
        file = _firstDicomFile(Path(path)) if os.path.isdir(path) else path
        return slicer.util.loadVolume(str(file), {"name": name, "show": False})
    except (RuntimeError, OSError) as error:
        raise InputError(_("{path} could not be loaded.").format(path=path)) from error


def jumpTo(ras: Any) -> None:
    """Move every slice through a position (3,) in world RAS mm; pan only views without it."""
    position = [float(value) for value in ras]
    for node in _sliceNodes():
        if _isInView(node, position):
            node.JumpSliceByOffsetting(*position)
        else:
            node.JumpSliceByCentering(*position)


def showOnlyQuery(run: Run, index: int) -> None:
    """Hide the results of other CTs (other patients); only the chosen box has name and handles.

    With the names of all boxes at once, they would cover each other and the image.
    """
    query, chosen = run.rows[index].query, run.result(index)
    for n, row in enumerate(run.rows):
        for node in (run.result(n), run.pointsNode(n)):
            if node is None or node.GetDisplayNode() is None:
                continue
            display = node.GetDisplayNode()
            display.SetVisibility(row.query == query)
            if node.IsA("vtkMRMLMarkupsROINode"):
                display.SetHandlesInteractive(node is chosen)
                display.SetPropertiesLabelVisibility(node is chosen)


def cropTo(volume: Any, roi: Any, name: str) -> Any:
    """Crop a volume to an ROI with Slicer's Crop Volume; returns the new volume.

    Raises InputError if the module is missing or the box does not lie in the CT.
    """
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
    output.SetAttribute(CROPPED_ATTRIBUTE, "1")
    return output


def _firstDicomFile(folder: Path) -> Path:
    """The first image of a DICOM folder, which may also hold folders, texts and an index.

    Raises InputError if there is none.
    """
    for path in sorted(folder.iterdir()):
        isHidden = path.name.startswith(".")
        isIndex = path.name.upper() == "DICOMDIR"
        if path.is_file() and not isHidden and not isIndex and is_dicom_file(path):
            return path
    raise InputError(_("{path} holds no DICOM image any more.").format(path=folder))


def _isBackground(volume: Any) -> bool:
    """True if every slice view shows the volume already: then its zoom is left alone."""
    composites = _nodesOfClass("vtkMRMLSliceCompositeNode")
    return all(node.GetBackgroundVolumeID() == volume.GetID() for node in composites)


def _isInView(node: Any, ras: Any) -> bool:
    """True if a slice view, moved to this depth, shows the position well inside its edges."""
    inverse = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Invert(node.GetXYToRAS(), inverse)
    pixel = inverse.MultiplyPoint((*ras, 1.0))
    size = node.GetDimensions()
    return all(
        EDGE_FRACTION * size[axis] <= pixel[axis] <= (1 - EDGE_FRACTION) * size[axis]
        for axis in (0, 1)
    )


def _sliceNodes() -> list[Any]:
    return _nodesOfClass("vtkMRMLSliceNode")


def _shownSliceNodes() -> list[Any]:
    """Those of the layout: a view outside it has no size that the zoom should depend on."""
    nodes = _sliceNodes()
    return [node for node in nodes if node.IsMappedInLayout()] or nodes


def _nodesOfClass(name: str) -> list[Any]:
    scene = slicer.mrmlScene
    return [scene.GetNthNodeByClass(n, name) for n in range(scene.GetNumberOfNodesByClass(name))]

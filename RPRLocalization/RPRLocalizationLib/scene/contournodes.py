"""Contours and maps of one query in the scene: a segmentation, and a transform per reference."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import numpy_to_vtk

from rprloc.errors import InputError
from rprloc.targets.segment_mask import SegmentMask

from . import conversion
from .markedtargets import RESULT_ATTRIBUTE
from .resultfolders import ResultFolders
from .resultrows import RUN_ATTRIBUTE, Run

STATUS_TAG, RADIUS_TAG = "RPRLoc.Status", "RPRLoc.Radius90mm"


class ContourNodes:
    """Makes the nodes of what the worker has carried to a loaded query."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._folders = ResultFolders(scene)

    def showSegments(self, run: Run, query: str, volume: Any, contours: Mapping[str, Any]) -> Any:
        """One segmentation of all contours, on the voxels of the volume; None without any.

        Raises InputError if the worker's answer cannot be read.
        """
        segments = contours["segments"]
        if not segments:
            return None
        name = _("{query} contours").format(query=query)
        node = self._scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
        node.CreateDefaultDisplayNodes()
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        for entry in segments:
            try:
                mask = SegmentMask.from_json(entry["mask"])
            except (ValueError, KeyError, TypeError) as error:
                self._scene.RemoveNode(node)
                reason = _("the contour of {name} cannot be read ({why})")
                raise InputError(reason.format(name=entry["target"], why=error)) from error
            node.GetSegmentation().AddSegment(_segment(entry, mask))
        self._keep(run, query, node)
        return node

    def showMaps(self, run: Run, query: str, contours: Mapping[str, Any]) -> list[Any]:
        """A transform per reference, which carries what belongs to the reference to the query."""
        nodes = []
        for reference, data in contours["maps"].items():
            name = _("{reference} to {query}").format(reference=reference, query=query)
            node = self._scene.AddNewNodeByClass("vtkMRMLTransformNode", name)
            # The map leads from the query, which is the world, to the reference.
            node.SetAndObserveTransformFromParent(gridTransform(data))
            self._keep(run, query, node)
            nodes.append(node)
        return nodes

    def _keep(self, run: Run, query: str, node: Any) -> None:
        node.SetAttribute(RESULT_ATTRIBUTE, "contours")
        node.SetAttribute(RUN_ATTRIBUTE, run.identifier)
        self._folders.put(node, run, query)
        run.addOther(node)


def _segment(entry: Mapping[str, Any], mask: SegmentMask) -> Any:
    """A segment with the reference's colour and terminology, and the status of its box."""
    segment = slicer.vtkSegment()
    segment.SetName(str(entry["target"]))
    color = [float(part) for part in mask.look.get("Color", "").split()]
    if len(color) == 3:
        segment.SetColor(color)
    for tag in mask.look.get("Tags", "").split("|"):
        key, colon, value = tag.partition(":")
        if colon:
            segment.SetTag(key, value)
    segment.SetTag(STATUS_TAG, str(entry["status"]))
    if entry.get("radius90_mm") is not None:
        segment.SetTag(RADIUS_TAG, f"{entry['radius90_mm']:.1f}")
    name = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    segment.AddRepresentation(name, orientedImage(mask))
    return segment


def orientedImage(mask: SegmentMask) -> Any:
    """A mask as Slicer's segmentations hold it, in RAS."""
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(mask.voxels.shape[::-1])
    flat = np.ascontiguousarray(mask.voxels, dtype=np.uint8).ravel()
    scalars = numpy_to_vtk(flat, deep=True, array_type=vtk.VTK_UNSIGNED_CHAR)
    image.GetPointData().SetScalars(scalars)
    matrix = vtk.vtkMatrix4x4()
    ijkToRas = conversion.RAS_LPS @ mask.geometry.ijk_to_lps
    matrix.DeepCopy(ijkToRas.ravel().tolist())
    image.SetImageToWorldMatrix(matrix)
    return image


def gridTransform(data: Mapping[str, Any]) -> Any:
    """The displacement grid of the worker's MAP object, RAS.

    Raises InputError if it is damaged.
    """
    depth, height, width = (int(n) for n in data["shape"])
    flat = np.frombuffer(base64.b64decode(data["values"]), "<f4")
    if flat.size != depth * height * width * 3 or not np.isfinite(flat).all():
        raise InputError(_("the map cannot be read"))
    # Turned so that the lattice runs along R and A, as its displacements do then.
    values = flat.reshape(depth, height, width, 3)[:, ::-1, ::-1]
    spacing = float(data["spacing_mm"])
    last = np.array(data["origin"]) + spacing * np.array([width - 1, height - 1, 0])
    image = vtk.vtkImageData()
    image.SetDimensions(width, height, depth)
    image.SetSpacing(spacing, spacing, spacing)
    image.SetOrigin(conversion.lpsToRas(last).tolist())
    vectors = np.ascontiguousarray(conversion.lpsToRas(values.reshape(-1, 3)))
    image.GetPointData().SetScalars(numpy_to_vtk(vectors, deep=True))
    transform = slicer.vtkOrientedGridTransform()
    transform.SetDisplacementGridData(image)
    transform.SetInterpolationModeToLinear()
    return transform

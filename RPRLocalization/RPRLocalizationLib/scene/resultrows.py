"""One run's results as rows, kept in a hidden node, and so saved and loaded with the scene."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

import slicer

from rprloc.localization.status import LOW_CONFIDENCE, OK

RUN_ATTRIBUTE = "RPRLoc.Run"
VOLUME_ROLE, NODE_ROLE, POINTS_ROLE, OTHER_ROLE = "volume", "result", "points", "other"
ACCEPTED, REJECTED = "accepted", "rejected"


@dataclass
class ResultRow:
    """One target in one query; positions in LPS mm of the world, None where there is none.

    A query that failed as a whole is one row without target and kind.

    query: name shown; path: the query's file if it was not loaded, else empty. points: the six
        extreme points (LPS).
    review: empty, ``accepted`` or ``rejected``. edited: the user has moved or resized the box or
        point.
    pointID: control point of a landmark in its list.
    radius: 90 % of such results are less than so many mm off; None where the model cannot tell.
    model: name of the model whose answer it is.
    """

    query: str
    target: str
    kind: str
    status: str
    reason: str = ""
    center: list[float] | None = None
    size: list[float] | None = None
    spread: float | None = None
    cycle: float | None = None
    points: list[list[float]] | None = None
    path: str = ""
    review: str = ""
    edited: bool = False
    pointID: str = ""
    radius: float | None = None
    model: str = ""

    @property
    def found(self) -> bool:
        """True if the position may be shown."""
        return self.status in (OK, LOW_CONFIDENCE) and self.center is not None

    @classmethod
    def fromWorker(cls, row: dict[str, Any], query: str, path: str = "") -> ResultRow:
        """The row of a worker's result (Result fields in LPS mm)."""
        return cls(
            query,
            str(row["target"]),
            str(row["kind"]),
            str(row["status"]),
            str(row.get("reason") or ""),
            row.get("center"),
            row.get("size"),
            row.get("spread_mm"),
            row.get("cycle_mm"),
            row.get("points"),
            path,
            radius=row.get("radius90_mm"),
            model=str(row.get("model") or ""),
        )


class Run:
    """The rows of one run and their nodes, over a hidden ``vtkMRMLScriptedModuleNode``."""

    def __init__(self, node: Any) -> None:
        self.node = node
        self.rows = _readRows(node)

    @classmethod
    def create(cls, scene: Any, title: str) -> Run:
        """A new run without rows."""
        node = slicer.vtkMRMLScriptedModuleNode()
        node.SetName(title)
        node.SetAttribute(RUN_ATTRIBUTE, uuid.uuid4().hex)
        node.SetHideFromEditors(True)
        return cls(scene.AddNode(node))

    @staticmethod
    def ofScene(scene: Any) -> list[Run]:
        """All runs of the scene, oldest first."""
        className = "vtkMRMLScriptedModuleNode"
        nodes = [
            scene.GetNthNodeByClass(n, className)
            for n in range(scene.GetNumberOfNodesByClass(className))
        ]
        return [Run(node) for node in nodes if node.GetAttribute(RUN_ATTRIBUTE)]

    @property
    def identifier(self) -> str:
        """Unique, and the same after saving and loading (node IDs may change)."""
        return self.node.GetAttribute(RUN_ATTRIBUTE)

    @property
    def title(self) -> str:
        """Name of the run and of its folder."""
        return self.node.GetName()

    def add(self, rows: Iterable[ResultRow], volume: Any = None) -> range:
        """Append rows of one query and return their indices. volume: its node, if it is loaded."""
        first = len(self.rows)
        self.rows.extend(rows)
        indices = range(first, len(self.rows))
        if volume is not None:
            self.setVolume(indices, volume)
        self.save()
        return indices

    def setVolume(self, indices: Iterable[int], volume: Any) -> None:
        """Remember the loaded volume of rows."""
        for index in indices:
            self.node.SetNodeReferenceID(f"{VOLUME_ROLE}.{index}", volume.GetID())

    def volume(self, index: int) -> Any:
        """The loaded volume of a row; None if it was not loaded, or is gone."""
        return self.node.GetNodeReference(f"{VOLUME_ROLE}.{index}")

    def setResult(self, index: int, node: Any, points: Any = None) -> None:
        """Remember the ROI or fiducial node of a row, and the node of its extreme points."""
        self.node.SetNodeReferenceID(f"{NODE_ROLE}.{index}", node.GetID())
        if points is not None:
            self.node.SetNodeReferenceID(f"{POINTS_ROLE}.{index}", points.GetID())

    def result(self, index: int) -> Any:
        """The ROI or fiducial node of a row; None if there is none (any more)."""
        return self.node.GetNodeReference(f"{NODE_ROLE}.{index}")

    def pointsNode(self, index: int) -> Any:
        """The node of a row's extreme points; None if there is none."""
        return self.node.GetNodeReference(f"{POINTS_ROLE}.{index}")

    def addOther(self, node: Any) -> None:
        """Remember a node that belongs to a query as a whole: its contours, or a map."""
        self.node.AddNodeReferenceID(OTHER_ROLE, node.GetID())

    def otherNodes(self) -> list[Any]:
        """Nodes of whole queries that still are there."""
        count = self.node.GetNumberOfNodeReferences(OTHER_ROLE)
        nodes = [self.node.GetNthNodeReference(OTHER_ROLE, n) for n in range(count)]
        return [node for node in nodes if node is not None]

    def resultNodes(self) -> list[Any]:
        """Every node that this run made and that still is there."""
        nodes = [
            node for n in range(len(self.rows)) for node in (self.result(n), self.pointsNode(n))
        ]
        nodes += self.otherNodes()
        return list({node.GetID(): node for node in nodes if node is not None}.values())

    def save(self) -> None:
        """Write the rows into the node; call it after changing one."""
        self.node.SetParameter(
            "rows", json.dumps([asdict(row) for row in self.rows], allow_nan=False)
        )


def _readRows(node: Any) -> list[ResultRow]:
    """Rows of a node; a scene file may hold anything, so what is no row is left out."""
    try:
        data = json.loads(node.GetParameter("rows") or "[]")
    except ValueError:
        return []
    names = {field.name for field in fields(ResultRow)}
    rows = []
    for entry in data if isinstance(data, list) else []:
        if isinstance(entry, dict) and {"query", "target", "kind", "status"} <= set(entry) <= names:
            rows.append(ResultRow(**entry))
    return rows

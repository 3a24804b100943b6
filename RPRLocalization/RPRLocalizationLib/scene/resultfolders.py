"""The folders of a run in the subject hierarchy: made, found by their marks, and taken away.

In Slicer every segment, patient and study is an item of the subject hierarchy as well, and removing
a segment's item removes the segment. So an item is removed only if it carries the mark of the run
that made it; whatever else lies in its folders goes one level up.
"""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from .resultrows import RUN_ATTRIBUTE, Run

RUN_ITEM_ATTRIBUTE = RUN_ATTRIBUTE
QUERY_ITEM_ATTRIBUTE, QUERY_RUN_ATTRIBUTE = "RPRLoc.Query", "RPRLoc.QueryOfRun"
_FOLDER_LEVEL = "Folder"


class ResultFolders:
    """One folder per run, and in it one per query."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene

    @property
    def _hierarchy(self) -> Any:
        """Asked for each time: reading a scene may put another node in its place."""
        return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self._scene)

    def put(self, node: Any, run: Run, query: str) -> None:
        """Move a node's item into the folder of its query, which is made if need be."""
        folder = self._queryFolder(run, query)
        item = self._hierarchy.GetItemByDataNode(node)
        if item:
            self._hierarchy.SetItemParent(item, folder)
        else:
            self._hierarchy.CreateItem(folder, node)

    def forget(self, node: Any) -> None:
        """Remove what is left of the item of a node that has gone."""
        item = self._hierarchy.GetItemByDataNode(node)
        if item:
            self._hierarchy.RemoveItem(item, False, False)

    def remove(self, run: Run) -> None:
        """Remove the run's own folders, after its nodes; what the user has put there goes up."""
        twins = self._resultsOfTwins(run)
        for item in self._ownFolders(run):
            nodes = map(self._hierarchy.GetItemDataNode, self._children(item, deep=True))
            if self._isFolder(item) and not any(node in twins for node in nodes):
                isShown = self._hierarchy.GetItemDataNode(item) is not None
                self._hierarchy.RemoveItem(item, isShown, False)

    def _resultsOfTwins(self, run: Run) -> list[Any]:
        """Results of runs with the same mark: a scene that was imported twice holds two of each."""
        twins = [
            other
            for other in Run.ofScene(self._scene)
            if other.identifier == run.identifier and other.node is not run.node
        ]
        return [node for twin in twins for node in twin.resultNodes()]

    def _ownFolders(self, run: Run) -> list[int]:
        """Folders of queries, then the run's: each is empty of ours before the one around it."""
        everywhere = self._children(self._hierarchy.GetSceneItemID(), deep=True)
        queries = [i for i in everywhere if self._mark(i, QUERY_RUN_ATTRIBUTE) == run.identifier]
        runs = [i for i in everywhere if self._mark(i, RUN_ITEM_ATTRIBUTE) == run.identifier]
        return [*queries, *(self._oldFolders(run, runs) if not queries else ()), *runs]

    def _oldFolders(self, run: Run, runs: list[int]) -> list[int]:
        """Folders of queries that version 0.1 made, without a mark: only those that are empty."""
        names = {row.query for row in run.rows}
        return [
            item
            for folder in runs
            for item in self._children(folder, deep=False)
            if self._hierarchy.GetItemName(item) in names
            and not self._children(item, deep=False)
            and self._hierarchy.GetItemDataNode(item) is None
        ]

    def _isFolder(self, item: int) -> bool:
        """False if the user has made a patient or a study of it, or tied a node of theirs to it."""
        node = self._hierarchy.GetItemDataNode(item)
        isPlain = node is None or node.IsA("vtkMRMLFolderDisplayNode")
        return isPlain and self._hierarchy.IsItemLevel(item, _FOLDER_LEVEL)

    def _queryFolder(self, run: Run, query: str) -> int:
        """By its mark: anything of the user's may have the same name."""
        for item in self._children(self._hierarchy.GetSceneItemID(), deep=True):
            isOfRun = self._mark(item, QUERY_RUN_ATTRIBUTE) == run.identifier
            if isOfRun and self._mark(item, QUERY_ITEM_ATTRIBUTE) == query:
                return item
        item = self._hierarchy.CreateFolderItem(self._runFolder(run), query)
        self._hierarchy.SetItemAttribute(item, QUERY_RUN_ATTRIBUTE, run.identifier)
        self._hierarchy.SetItemAttribute(item, QUERY_ITEM_ATTRIBUTE, query)
        return item

    def _runFolder(self, run: Run) -> int:
        """By the run's identifier: the user may have renamed or moved the folder."""
        for item in self._children(self._hierarchy.GetSceneItemID(), deep=True):
            if self._mark(item, RUN_ITEM_ATTRIBUTE) == run.identifier:
                return item
        item = self._hierarchy.CreateFolderItem(self._hierarchy.GetSceneItemID(), run.title)
        self._hierarchy.SetItemAttribute(item, RUN_ITEM_ATTRIBUTE, run.identifier)
        return item

    def _mark(self, item: int, name: str) -> str:
        return self._hierarchy.GetItemAttribute(item, name)

    def _children(self, item: int, deep: bool) -> list[int]:
        items = vtk.vtkIdList()
        self._hierarchy.GetItemChildren(item, items, deep)
        return [items.GetId(n) for n in range(items.GetNumberOfIds())]

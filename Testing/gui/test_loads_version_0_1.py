"""A scene that version 0.1 saved: choices, targets, results and reviews come back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import qt
import slicer
from RPRLocalizationLib.scene.markedtargets import UNUSED_ATTRIBUTE, targetsOf
from RPRLocalizationLib.scene.resultrows import Run
from support.version_0_1 import FOLDER

TOLERANCE_MM = 1e-4
RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])
#: Rows hold these as they were saved; the status is the word of the CSV file.
ROW_FIELDS = (
    "query",
    "target",
    "kind",
    "status",
    "reason",
    "center",
    "size",
    "spread",
    "cycle",
    "points",
    "path",
    "review",
    "edited",
    "pointID",
)

# Choices that later versions have added; version 0.1 does not read them.
ADDED = {"contours", "transforms"}


def expected() -> dict[str, Any]:
    """What version 0.1 showed after loading the scene; positions in LPS mm of the world."""
    return json.loads((FOLDER / "expected_scene.json").read_text(encoding="utf-8"))


@pytest.fixture
def loaded(panel):
    """The panel after the scene was loaded."""
    slicer.util.loadScene(str(FOLDER / "scene" / "scene.mrml"))
    panel.host.processEvents()
    return panel


def plain(value: Any) -> Any:
    """Tuples and arrays as the lists of JSON."""
    return json.loads(json.dumps(value))


def nodeName(node) -> str | None:
    return None if node is None else node.GetName()


def pointLps(node, index: int) -> np.ndarray:
    return np.array(node.GetNthControlPointPositionWorld(index)) * RAS_TO_LPS


def wallsLps(roi) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper corner of an axis-aligned ROI, LPS mm."""
    center, size = np.zeros(3), np.zeros(3)
    roi.GetCenterWorld(center)
    roi.GetSizeWorld(size)
    return center * RAS_TO_LPS - size / 2, center * RAS_TO_LPS + size / 2


def test_parameterNodeComesBack(loaded):
    parameters, saved = loaded.parameters, expected()["parameters"]
    assert parameters.referenceSource.name == saved["referenceSource"]
    assert nodeName(parameters.referenceVolume) == saved["referenceVolume"]
    assert [nodeName(node) for node in parameters.targetNodes] == saved["targetNodes"]
    assert [nodeName(node) for node in parameters.queryVolumes] == saved["queryVolumes"]
    assert list(parameters.unusedTemplateTargets) == saved["unusedTemplateTargets"]
    assert parameters.exportFrame.name == saved["exportFrame"]
    for name in ("template", "queryFilter", "useQueryFolder", "queryFolder", "extremePoints"):
        assert getattr(parameters, name) == saved[name], name


def test_parameterNodeIsStoredUnderTheSameNames(loaded):
    """A scene that is saved again can be read by version 0.1."""
    node, saved = loaded.parameters.parameterNode, expected()["parameter node"]
    assert node.GetSingletonTag() == saved["singletonTag"]
    stored = {name: node.GetParameter(name) for name in node.GetParameterNames()}
    assert {name: text for name, text in stored.items() if name not in ADDED} == saved["parameters"]
    for role, names in saved["references"].items():
        assert [nodeName(node.GetNodeReference(role))] == names, role


def test_markedTargetsComeBack(loaded):
    targets, saved = targetsOf(loaded.parameters.targetNodes), expected()["targets"]
    assert [(t.node.GetName(), t.name, t.kind, t.used) for t in targets] == [
        (entry["node"], entry["name"], entry["kind"], entry["used"]) for entry in saved
    ]
    for target, entry in zip(targets, saved, strict=True):
        assert target.node.GetAttribute(UNUSED_ATTRIBUTE) == entry["unused attribute"]
        if "point_lps" in entry:
            index = target.node.GetNthControlPointIndexByID(target.itemID)
            np.testing.assert_allclose(
                pointLps(target.node, index), entry["point_lps"], atol=TOLERANCE_MM
            )


def test_resultRowsComeBackWithReviewsAndEdits(loaded):
    runs = {run.identifier: run for run in Run.ofScene(slicer.mrmlScene)}
    assert len(runs) == len(expected()["runs"]) == 2
    for saved in expected()["runs"]:
        run = runs[saved["identifier"]]
        assert run.title == saved["title"]
        assert len(run.rows) == len(saved["rows"])
        for row, entry in zip(run.rows, saved["rows"], strict=True):
            assert {name: plain(getattr(row, name)) for name in ROW_FIELDS} == {
                name: entry[name] for name in ROW_FIELDS
            }


def test_resultNodesComeBackWhereTheyWere(loaded):
    runs = {run.identifier: run for run in Run.ofScene(slicer.mrmlScene)}
    for saved in expected()["runs"]:
        run = runs[saved["identifier"]]
        for index, entry in enumerate(saved["rows"]):
            assert nodeName(run.volume(index)) == entry["volume"]
            assert (run.result(index) is None) == (entry["node"] is None)
            assert (run.pointsNode(index) is None) == (entry["points node"] is None)
            if entry["node"] is not None:
                assertPlaced(run.result(index), run.rows[index].pointID, entry["node"])


def assertPlaced(node, pointID: str, saved: dict[str, Any]) -> None:
    """A node has the status it was saved with, and lies where it lay."""
    assert node.GetClassName() == saved["class"]
    assert node.GetAttribute("RPRLoc.Result") == saved["RPRLoc.Result"]
    if "point_lps" in saved:
        point = pointLps(node, node.GetNthControlPointIndexByID(pointID))
        np.testing.assert_allclose(point, saved["point_lps"], atol=TOLERANCE_MM)
    else:
        walls = (saved["lower_lps"], saved["upper_lps"])
        np.testing.assert_allclose(wallsLps(node), walls, atol=TOLERANCE_MM)


def test_panelShowsTheNewestRunAndTheOtherOnRequest(loaded):
    saved = expected()["panel"]
    selector = loaded.ui.runSelector
    assert [selector.itemText(n) for n in range(selector.count)] == saved["runs in the selector"]
    assert loaded.ui.templateRadio.checked
    for index, title in enumerate(saved["runs in the selector"]):
        selector.setCurrentIndex(index)
        selector.activated.emit(index)
        loaded.host.processEvents()
        assert loaded.run.title == title
        assert loaded.ui.resultsTable.rowCount == len(saved["results tables"][title])


def test_moreCanBeReviewedAndRemoved(loaded):
    reviewed = loaded.run.rows[0]
    loaded.ui.resultsTable.setCurrentCell(0, 0)
    loaded.click(loaded.ui.acceptButton)
    assert reviewed.review == "accepted"
    loaded.host.dialogs.answerMessage(qt.QMessageBox.Yes)
    loaded.click(loaded.ui.removeResultsButton)
    assert len(Run.ofScene(slicer.mrmlScene)) == 1

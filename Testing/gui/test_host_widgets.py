"""The host's ctk and qMRML widgets, .ui files, dialogs and other surroundings of a module."""

from __future__ import annotations

import importlib.util
import logging
import sys

import ctk
import numpy as np
import pytest
import qt
import slicer
from slicerhost.qt import failures

UI = """<ui version="4.0"><widget class="QWidget" name="root">
<layout class="QVBoxLayout" name="layout">
<item><widget class="{cls}" name="{name}">{properties}</widget></item>
<item><widget class="QLabel" name="label"/></item></layout></widget>{connections}</ui>"""


@pytest.fixture
def loadUi(tmp_path):
    def load(cls="QPushButton", name="child", properties="", connections=""):
        path = tmp_path / "test.ui"
        path.write_text(
            UI.format(cls=cls, name=name, properties=properties, connections=connections)
        )
        return slicer.util.loadUI(str(path))

    return load


def addVolumes(*names):
    return [slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name) for name in names]


def nodeSelector(types=("vtkMRMLScalarVolumeNode",), **properties):
    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = types
    for name, value in properties.items():
        setattr(selector, name, value)
    selector.setMRMLScene(slicer.mrmlScene)
    return selector


# .ui files


def test_uiWithAnUnknownWidgetIsRefused(host, loadUi):
    with pytest.raises(RuntimeError, match="ctkSomething"):
        loadUi(cls="ctkSomething")
    assert "ctkSomething" in failures.take()[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"properties": '<property name="txet"><string>a</string></property>'},
            "no property 'txet'",
        ),
        ({"name": "label"}, "two widgets are called 'label'"),
    ],
)
def test_uiMistakesAreFailures(host, loadUi, arguments, message):
    loadUi(**arguments)
    assert message in failures.take()[0]


def test_uiConnectionToAnUnknownSlotIsRefused(host, loadUi):
    connections = (
        "<connections><connection><sender>child</sender><signal>clicked()</signal>"
        "<receiver>label</receiver><slot>klear()</slot></connection></connections>"
    )
    with pytest.raises(RuntimeError, match="klear"):
        loadUi(connections=connections)
    failures.take()


def test_uiChildrenAreNotAttributesOfTheRoot(host, loadUi):
    root = loadUi()
    assert not hasattr(root, "child")
    assert slicer.util.childWidgetVariables(root).child.className() == "QPushButton"
    assert slicer.util.findChild(root, "child").text == ""


def test_enumPropertiesOfCustomWidgets(host, loadUi):
    root = loadUi(
        "ctkPathLineEdit",
        properties='<property name="filters"><set>ctkPathLineEdit::Dirs</set></property>',
    )
    assert slicer.util.findChild(root, "child").filters == ctk.ctkPathLineEdit.Dirs


# node selectors


def test_nodeSelectorFollowsTheScene(host):
    selector, changes = nodeSelector(noneEnabled=True), []
    selector.connect("currentNodeChanged(vtkMRMLNode*)", changes.append)
    first, second = addVolumes("first", "second")
    assert selector.nodeCount() == 2 and selector.currentNode() is None and changes == []
    selector.setCurrentNode(second)
    slicer.mrmlScene.RemoveNode(second)
    assert selector.currentNode() is None and changes == [second, None]
    first.SetHideFromEditors(True)
    addVolumes("third")
    assert selector.nodeFromIndex(0).GetName() == "third"


def test_nodeSelectorWithoutNone(host):
    first, second = addVolumes("first", "second")
    selector = nodeSelector()
    assert selector.currentNodeID == first.GetID()
    slicer.mrmlScene.RemoveNode(first)
    assert selector.currentNode() is second


def test_nodeSelectorWithoutASceneIsDisabled(host):
    selector = slicer.qMRMLNodeComboBox()
    assert not selector.enabled
    selector.setMRMLScene(slicer.mrmlScene)
    assert selector.enabled


def test_deletedWidgetsDoNotObserveTheScene(host):
    selector, calls = nodeSelector(), []
    selector._refresh = lambda: calls.append(1)
    selector.deleteLater()
    host.processEvents()
    addVolumes("one")
    assert calls == []


def test_nodeSelectorTypesAndAttributes(host):
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    (volume,) = addVolumes("volume")
    assert nodeSelector(showChildNodeTypes=False).nodeCount() == 1
    assert nodeSelector(hideChildNodeTypes=["vtkMRMLLabelMapVolumeNode"]).nodeCount() == 1
    selector = nodeSelector()
    assert selector.nodeCount() == 2 and selector.nodeTypes == ("vtkMRMLScalarVolumeNode",)
    selector.addAttribute("vtkMRMLScalarVolumeNode", "kind", "ct")
    assert selector.nodeCount() == 0
    volume.SetAttribute("kind", "ct")
    addVolumes("other")
    assert [selector.nodeFromIndex(i) for i in range(selector.nodeCount())] == [volume]


def test_nodeSelectorCreatesRenamesAndDeletes(host):
    selector, added = nodeSelector(noneEnabled=True, renameEnabled=True, baseName="Reference"), []
    selector.connect("nodeAddedByUser(vtkMRMLNode*)", lambda node: added.append(node.GetName()))
    box = selector.findChild(qt.QComboBox)
    box.activated.emit(box.findText("Create new Volume"))
    assert added == ["Reference"] and selector.currentNode().GetName() == "Reference"
    host.dialogs.answerInput("Renamed")
    box.activated.emit(box.findText("Rename current node"))
    assert selector.currentNode().GetName() == "Renamed" == box.currentText
    box.activated.emit(box.findText("Delete current node"))
    assert selector.currentNode() is None and selector.nodeCount() == 0


def test_checkableNodeSelector(host):
    selector, changes = slicer.qMRMLCheckableNodeComboBox(), []
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.setMRMLScene(slicer.mrmlScene)
    selector.connect("checkedNodesChanged()", lambda: changes.append(1))
    first, second = addVolumes("first", "second")
    selector.setCheckState(second, qt.Qt.Checked)
    assert selector.checkedNodes() == (second,) and selector.uncheckedNodes() == (first,)
    slicer.mrmlScene.RemoveNode(second)
    assert selector.checkedNodes() == () and len(changes) == 2


def test_segmentsTable(host):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "S")
    view = slicer.qMRMLSegmentsTableView()
    view.setMRMLScene(slicer.mrmlScene)
    view.setSegmentationNode(node)
    liver = node.GetSegmentation().AddEmptySegment("", "liver")
    spleen = node.GetSegmentation().AddEmptySegment("", "spleen")
    view.setSelectedSegmentIDs([spleen])
    assert view.displayedSegmentIDs() == (liver, spleen) and view.selectedSegmentIDs() == (spleen,)
    selector = slicer.qMRMLSegmentSelectorWidget()
    selector.setMRMLScene(slicer.mrmlScene)
    selector.setCurrentNode(node)
    selector.setCurrentSegmentID(spleen)
    assert selector.currentSegmentID() == spleen


# other widgets


def test_collapsibleButtonHidesItsContents(host):
    button, calls = ctk.ctkCollapsibleButton(), []
    label = qt.QLabel("x")
    hidden = qt.QLabel("y")
    layout = qt.QVBoxLayout(button)
    layout.addWidget(label)
    layout.addWidget(hidden)
    hidden.visible = False
    button.connect("contentsCollapsed(bool)", calls.append)
    button.collapsed = True
    assert label.isHidden() and calls == [True]
    button.collapsed = False
    assert not label.isHidden() and hidden.isHidden() and calls == [True, False]


def test_pathLineEditRemembersAndBrowses(host, tmp_path):
    edit, paths = ctk.ctkPathLineEdit(), []
    edit.filters = ctk.ctkPathLineEdit.Dirs
    edit.settingKey = "RPRLoc/folders"
    edit.connect("currentPathChanged(QString)", paths.append)
    host.dialogs.answerFile(str(tmp_path))
    edit.browse()
    edit.addCurrentPathToHistory()
    again = ctk.ctkPathLineEdit()
    again.settingKey = "RPRLoc/folders"
    assert edit.currentPath == again.currentPath == str(tmp_path) == paths[-1]


def test_pathLineEditTellsOnlyAcceptablePaths(host):
    """As ctkPathLineEdit::updateHasValidInput does: an emptied field tells no path."""
    edit, told = ctk.ctkPathLineEdit(), []
    edit.connect("currentPathChanged(QString)", told.append)
    edit.connect("validInputChanged(bool)", told.append)
    edit.currentPath = "/a"
    edit.currentPath = "/a"
    edit.currentPath = "/b"
    edit.currentPath = ""
    edit.currentPath = ""
    assert told == ["/a", True, "/b", False]
    edit.nameFilters = ["Tables (*.csv *.tsv)"]
    edit.currentPath = "x.nrrd"
    edit.currentPath = "x.tsv"
    assert told[4:] == ["x.tsv", True]


def test_pathLineEditIsAsWideAsItsPathUnlessItsLengthIsGiven(host):
    edit = ctk.ctkPathLineEdit()
    edit.currentPath = "/a/very/long/path" * 10
    wide = edit.minimumSizeHint().width()
    edit.minimumContentsLength = 5
    assert edit.minimumSizeHint().width() < wide / 3


def test_widgetsTellAnUnchangedValueOnlyWhereCtkDoes(host, tmp_path):
    told: list[tuple[str, object]] = []

    def teller(name):
        return lambda *values: told.append((name, *values))

    color, button = ctk.ctkColorPickerButton(), ctk.ctkCheckablePushButton()
    folder, sliders = ctk.ctkDirectoryButton(), ctk.ctkRangeWidget()
    color.connect("colorChanged(QColor)", teller("color"))
    button.connect("checkBoxToggled(bool)", teller("checked"))
    folder.connect("directorySelected(QString)", teller("selected"))
    folder.connect("directoryChanged(QString)", teller("changed"))
    sliders.connect("valuesChanged(double,double)", teller("values"))
    sliders.setRange(0.0, 10.0)
    told.clear()
    for _twice in range(2):
        color.setColor(qt.QColor(1, 2, 3))
        button.setCheckState(2)
        folder.setDirectory(str(tmp_path))
        sliders.setValues(2.0, 3.0)
    names = [name for name, *_values in told]
    assert names == ["color", "checked", "selected", "changed", "values", "selected"]


def test_messageBoxWithoutARememberedAnswerIsShown(host):
    """QMessageBox::InvalidRole is what ctk keeps for "ask again"."""
    box = ctk.ctkMessageBox()
    box.dontShowAgainSettingsKey = "RPRLoc/ask"
    qt.QSettings().setValue("RPRLoc/ask", -1)
    host.dialogs.answerMessage(qt.QMessageBox.Ok)
    box.exec_()
    qt.QSettings().setValue("RPRLoc/ask", int(qt.QMessageBox.Yes.value))
    assert box.exec_() == int(qt.QMessageBox.Yes.value)


# dialogs


def test_expectedDialogsAreAnswered(host):
    logging.disable(logging.CRITICAL)
    host.dialogs.answerMessage(qt.QMessageBox.Yes)
    host.dialogs.answerMessage(qt.QMessageBox.No)
    host.dialogs.answerFile("/a/b.nrrd")
    host.dialogs.answerFile(["/a", "/b"])
    host.dialogs.answerInput("name")
    assert slicer.util.confirmYesNoDisplay("Sure?", windowTitle="Question")
    assert not slicer.util.confirmYesNoDisplay("Really?")
    assert qt.QFileDialog.getOpenFileName(None, "Open", "", "*.nrrd") == "/a/b.nrrd"
    assert qt.QFileDialog.getOpenFileNames(None, "Open") == ("/a", "/b")
    assert qt.QInputDialog.getText(None, "Title", "Name:") == "name"
    assert [shown.text for shown in host.dialogs.shown][:2] == ["Sure?", "Really?"]
    logging.disable(logging.NOTSET)


def test_aDialogWithOwnButtons(host):
    box = qt.QMessageBox()
    install = box.addButton("&Install PyTorch", qt.QMessageBox.AcceptRole)
    box.addButton(qt.QMessageBox.Cancel)
    host.dialogs.answerMessage("Install PyTorch")
    box.exec_()
    assert box.clickedButton() == install


def test_aDialogOfTheModule(host):
    dialog, edit = qt.QDialog(), qt.QLineEdit()
    qt.QVBoxLayout(dialog).addWidget(edit)

    def fill(shown):
        edit.text = "typed"
        shown.accept()

    host.dialogs.answerDialog(fill)
    assert dialog.exec_() == qt.QDialog.Accepted and edit.text == "typed"


def test_unexpectedDialogsAndUnusedAnswersAreFailures(host):
    assert qt.QFileDialog.getExistingDirectory(None, "Folder") == ""
    assert qt.QMessageBox.question(None, "Title", "Text?") == qt.QMessageBox.No
    assert len(failures.take()) == 2
    host.dialogs.answerInput("never asked")
    assert "never asked" in host.dialogs.reset()[0]


# surroundings


def test_subjectHierarchyItemsComeAndGo(host):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    item = hierarchy.GetItemByDataNode(node)
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "Run 1")
    hierarchy.SetItemParent(item, folder)
    assert hierarchy.GetItemName(item) == "box" and hierarchy.GetItemParent(item) == folder
    hierarchy.RemoveItem(folder, True, True)
    assert slicer.mrmlScene.GetFirstNodeByName("box") is None
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "other")
    slicer.mrmlScene.RemoveNode(other)
    assert hierarchy.GetNumberOfItems() == 0 or hierarchy.GetItemByDataNode(other) == 0


@pytest.mark.parametrize("torch", [True, False])
def test_pytorchCanBeAbsent(host, torch):
    host.pytorch.set(extension=True, torch=torch)
    import PyTorchUtils

    logic = PyTorchUtils.PyTorchUtilsLogic()
    assert logic.torchInstalled() == torch == (importlib.util.find_spec("torch") is not None)
    assert logic.installTorch(askConfirmation=True, torchVersionRequirement=">=2.4") is not None
    assert host.pytorch.installations[0]["torchVersionRequirement"] == ">=2.4"
    assert importlib.util.find_spec("torch") is not None
    host.pytorch.reset()
    assert "PyTorchUtils" not in sys.modules


def test_cropVolumeWorksAndCanBeAbsent(host):
    (volume,) = addVolumes("CT")
    slicer.util.updateVolumeFromArray(volume, np.arange(1000, dtype=np.int16).reshape(10, 10, 10))
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    roi.SetCenter(4.5, 4.5, 4.5)
    roi.SetSize(4, 4, 4)
    parameters = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLCropVolumeParametersNode")
    parameters.SetInputVolumeNodeID(volume.GetID())
    parameters.SetROINodeID(roi.GetID())
    parameters.SetVoxelBased(True)
    assert slicer.modules.cropvolume.logic().Apply(parameters) == 0
    assert slicer.util.arrayFromVolume(parameters.GetOutputVolumeNode()).shape == (4, 4, 4)
    host.modules.hide("cropvolume")
    assert not hasattr(slicer.modules, "cropvolume")


def test_sampleDataSources(host, tmp_path):
    import SampleData

    (volume,) = addVolumes("saved")
    slicer.util.updateVolumeFromArray(volume, np.zeros((2, 3, 4), np.int16))
    path = tmp_path / "saved.nrrd"
    assert slicer.util.saveNode(volume, str(path))
    register = SampleData.SampleDataLogic.registerCustomSampleDataSource
    register(
        category="RPRLoc",
        sampleName="S",
        uris=path.as_uri(),
        fileNames="saved.nrrd",
        nodeNames="loaded",
    )
    register(
        category="RPRLoc",
        sampleName="S",
        uris=path.as_uri(),
        fileNames="saved.nrrd",
        nodeNames="loaded",
    )
    assert len(slicer.modules.sampleDataSources["RPRLoc"]) == 1
    assert SampleData.SampleDataLogic().downloadSample("S").GetName() == "loaded"
    assert SampleData.SampleDataLogic().pressButton("S")[0].GetName().startswith("loaded")


def test_theMainWindowShowsThePanelOfTheOpenModule(host):
    assert slicer.util.mainWindow() is host.mainWindow
    assert slicer.util.showStatusMessage("text") is True
    assert host.mainWindow.statusBar().currentMessage() == "text"

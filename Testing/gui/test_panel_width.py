"""Both panels fit Slicer's module panel, at three sizes of the font and with long names in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import qt
import slicer

#: Pixels of Slicer's module panel at its usual width, its vertical scroll bar included.
PANEL_WIDTH = 440
FONT_SIZES = (9, 11, 13)
LONG = "a_very_long_name_of_something_that_nobody_would_ever_want_to_type_" * 2
LONG_PATH = "/data/" + "/".join(["a-folder-of-a-department"] * 6)


@pytest.fixture(params=FONT_SIZES)
def fontSize(request: Any, host: Any) -> Any:
    """Every widget in a font of so many points."""
    application = qt.QApplication.instance()
    before = application.font()
    font = qt.QFont(before)
    font.setPointSize(request.param)
    application.setFont(font)
    yield request.param
    application.setFont(before)


def shown(host: Any, panel: Any, height: int = 2600) -> Any:
    """The panel in a scroll area as wide as Slicer's, and laid out."""
    area = qt.QScrollArea()
    area.setWidgetResizable(True)
    area.setVerticalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOn)
    area.setWidget(panel)
    area.resize(PANEL_WIDTH, height)
    area.show()
    for _round in range(3):
        host.processEvents()
    return area


def putBack(area: Any, widget: Any) -> None:
    """Give the panel back to its module, which deletes it."""
    widget.layout.addWidget(area.takeWidget())


def assertFits(area: Any, folder: Path, name: str) -> None:
    """Nothing to scroll sideways, and no widget that sticks out of the panel."""
    assert area.grab().save(str(folder / f"{name}.png"))
    assert area.horizontalScrollBar().maximum == 0, f"{name}: it must be scrolled sideways"
    width = area.viewport().width
    for widget in area.widget().findChildren(qt.QWidget):
        inScrollArea = any(
            isinstance(above, qt.QAbstractScrollArea) for above in parents(widget, area)
        )
        if widget.isVisible() and not inScrollArea:
            right = widget.mapTo(area.widget(), qt.QPoint(widget.width, 0)).x()
            assert right <= width, f"{name}: {widget.objectName} ends at {right} of {width}"
            assertTextIsShown(widget, name)


def assertTextIsShown(widget: Any, name: str) -> None:
    """The text of a button or a label that is not wrapped has its room."""
    isButton = isinstance(widget, (qt.QPushButton, qt.QCheckBox))
    isPlain = isinstance(widget, qt.QLabel) and not widget.wordWrap
    if (isButton or isPlain) and widget.text:
        needed = widget.fontMetrics().horizontalAdvance(widget.text)
        assert needed <= widget.width, f"{name}: {widget.objectName} is cut off: {widget.text}"


def parents(widget: Any, last: Any) -> Any:
    above = widget.parentWidget()
    while above is not None and above is not last.widget():
        yield above
        above = above.parentWidget()


def test_localizationPanelFits(panel, fontSize, tmp_path):
    panel.ready(queries=2)
    panel.addBox(LONG)
    slicer.util.getNode("reference").SetName(LONG)
    slicer.util.getNode("query 1").SetName(LONG)
    panel.localize()
    panel.ui.resultsTable.setCurrentCell(2, 0)
    panel.ui.useFolderCheckBox.click()
    panel.ui.folderEdit.setCurrentPath(LONG_PATH)
    panel.widget.panel.run.log("warning", LONG)
    area = shown(panel.host, panel.widget.uiWidget)
    assertFits(area, tmp_path, f"localization-{fontSize}")
    panel.ui.templateRadio.click()
    panel.host.processEvents()
    assertFits(area, tmp_path, f"localization-template-{fontSize}")
    putBack(area, panel.widget)


def test_namesOfTargetsLeaveTheOtherColumnsInSight(panel, fontSize):
    panel.addVolume("CT")
    panel.addBox(LONG)
    points = panel.addLandmark("nose")
    points.SetName(LONG)
    area = shown(panel.host, panel.widget.uiWidget)
    table = panel.ui.targetsTable
    assert table.horizontalScrollBar().maximum == 0
    for column in (1, 2):
        right = table.columnViewportPosition(column) + table.columnWidth(column)
        assert right <= table.viewport().width and table.columnWidth(column) > 20
    assert LONG in table.item(0, 0).toolTip() and LONG in table.item(1, 2).toolTip()
    putBack(area, panel.widget)


def test_trainingPanelFits(bench, fontSize, tmp_path):
    bench.ui.runsFolderEdit.setCurrentPath(LONG_PATH)
    bench.train()
    bench.ui.checkTargetsEdit.setCurrentPath(LONG_PATH)
    bench.click(bench.ui.checkButton)
    bench.host.waitFor(lambda: not bench.logic.task)
    bench.ui.numbersBox.collapsed = False
    bench.panel.use._outcome = f"Written: {LONG_PATH}"
    bench.panel.train.log("warning", LONG)
    bench.panel.update()
    area = shown(bench.host, bench.widget.uiWidget, 3400)
    assertFits(area, tmp_path, f"training-{fontSize}")
    putBack(area, bench.widget)


def test_longWordsAreWrappedAndShortOnesStayAsTheyAre():
    from RPRLocalizationLib.widgets.helpers import breakable

    assert breakable("a short text, 3.5 mm, a/b") == "a short text, 3.5 mm, a/b"
    assert breakable(LONG_PATH).replace("\u200b", "") == LONG_PATH != breakable(LONG_PATH)
    assert qt.QLabel(breakable(LONG_PATH)).text.count("\u200b") > 5

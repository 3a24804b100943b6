"""The host's Qt behaves as PythonQt does, and is stricter."""

from __future__ import annotations

import ctk
import pytest
import qt
import slicer
from slicerhost.qt import failures


def test_propertiesAreAttributes(host):
    button = qt.QPushButton("text")
    button.enabled = False
    button.name = "button"
    assert (button.text, button.enabled, button.objectName, button.className()) == (
        "text", False, "button", "QPushButton"
    )  # fmt: skip
    button.setText("other")
    assert button.text == "other" and not button.isEnabled()


@pytest.mark.parametrize("make", [lambda: qt.QPushButton(), lambda: ctk.ctkCollapsibleButton()])
def test_noNewAttributesOnCppObjects(host, make):
    with pytest.raises(AttributeError, match="not allowed"):
        make().somethingNew = 1


def test_ownSubclassesMayHaveAttributes(host):
    class Mine(qt.QLabel):
        pass

    label = Mine("text")
    label.somethingNew = 1
    assert label.somethingNew == 1


def test_surplusArgumentsAreCutOff(host):
    calls = []
    button = qt.QPushButton()
    button.checkable = True
    button.connect("clicked(bool)", lambda: calls.append("none"))
    button.connect("clicked(bool)", lambda on: calls.append(on))
    button.connect("clicked()", lambda preset=3: calls.append(preset))
    button.click()
    assert calls == ["none", True, 3]


def test_disconnect(host):
    calls = []
    button = qt.QPushButton()

    def slot():
        calls.append(1)

    button.connect("clicked()", slot)
    assert button.disconnect("clicked()", slot)
    assert not button.disconnect("clicked()", slot)
    button.click()
    assert calls == []


def test_unknownSignalIsAFailure(host):
    with pytest.raises(ValueError, match="no signal"):
        qt.QPushButton().connect("klicked()", print)
    assert "no signal klicked()" in failures.take()[0]


def test_exceptionInASlotIsAFailure(host):
    button = qt.QPushButton()
    button.connect("clicked()", lambda: 1 / 0)
    button.clicked.connect(lambda: [].pop())
    button.click()
    first, second = failures.take()
    assert "ZeroDivisionError" in first and "IndexError" in second


def test_exceptionInATimerAndInAnObserverAreFailures(host):
    qt.QTimer.singleShot(0, lambda: 1 / 0)
    host.processEvents()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")
    node.AddObserver("ModifiedEvent", lambda *_: [].pop())
    node.Modified()
    first, second = failures.take()
    assert "ZeroDivisionError" in first and "IndexError" in second


def test_settingsComeBackAsTextAfterARestart(host):
    qt.QSettings().setValue("RPRLoc/number", 5)
    qt.QSettings().setValue("RPRLoc/on", True)
    host.restartSettings()
    assert qt.QSettings().value("RPRLoc/number") == "5"
    assert slicer.util.settingsValue("RPRLoc/on", False, converter=slicer.util.toBool) is True
    host.restartSettings(keep=False)
    assert not qt.QSettings().contains("RPRLoc/number")


def test_process(host):
    process, done = qt.QProcess(), []
    process.connect("finished(int,QProcess::ExitStatus)", lambda code: done.append(code))
    process.start("echo", ["hello"])
    host.waitFor(lambda: done)
    assert done == [0] and bytes(process.readAllStandardOutput().data()) == b"hello\n"

"""Reload of Slicer's developer mode, and opening and closing: new code, and one of each thing."""

from __future__ import annotations

import gc
import shutil
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
import qt
import slicer

REPOSITORY = Path(__file__).resolve().parents[2]
ROUNDS = 10


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the modules' code that is found before the repository's."""
    skipped = shutil.ignore_patterns("Models", "SampleData", "__pycache__")
    for name in ("RPRLocalization", "RPRTraining"):
        shutil.copytree(REPOSITORY / name, tmp_path / name, ignore=skipped)
        monkeypatch.syspath_prepend(str(tmp_path / name))
    return tmp_path


@pytest.mark.parametrize(
    ("module", "file", "name"),
    [
        ("RPRLocalization", "RPRLocalization/RPRLocalizationLib/panel/resultssection.py", "panel"),
        ("RPRLocalization", "RPRLocalization/rprloc/geometry.py", "geometry"),
        ("RPRTraining", "RPRTraining/RPRTrainingLib/curves.py", "curves"),
        ("RPRTraining", "RPRLocalization/RPRLocalizationLib/widgets/section.py", "section"),
    ],
)
def test_reloadTakesAChangeOfAnyFile(host, loadModule, copied, module, file, name):
    widget = loadModule(module)
    with (copied / file).open("a", encoding="utf-8") as stream:
        stream.write("\nADDED_BY_THE_TEST = True\n")
    widget.onReload()
    host.processEvents()
    again = getattr(slicer.modules, f"{module}Widget")
    assert again is not widget
    imported = file.partition("/")[2].removesuffix(".py").replace("/", ".")
    assert sys.modules[imported].ADDED_BY_THE_TEST
    assert type(again.panel).__module__ in sys.modules
    assert type(again.panel) is not type(widget.panel)
    host.selectModule(module)


def test_workerEndsBeforeTheCodeIsForgotten(panel, monkeypatch):
    order = []
    monkeypatch.setattr(
        panel.worker, "close", lambda: order.append("RPRLocalizationLib" in sys.modules)
    )
    before = sys.modules["RPRLocalizationLib"]
    panel.widget.onReload()
    assert order[0] is True and sys.modules["RPRLocalizationLib"] is not before


def test_otherPanelGoesOnWithTheCodeThatItHas(host, loadModule):
    training = loadModule("RPRTraining")
    loadModule("RPRLocalization").onReload()
    host.processEvents()
    host.selectModule("RPRTraining")
    training.panel.update()
    host.selectModule("RPRLocalization")


def alive(host: Any, references: list[Any]) -> int:
    host.processEvents()
    gc.collect()
    return sum(reference() is not None for reference in references)


@pytest.mark.parametrize("module", ["RPRLocalization", "RPRTraining"])
def test_tenReloadsLeaveOneOfEach(host, loadModule, module):
    """No widget, panel or section of before is kept by a signal, a timer or an observation."""
    widget = loadModule(module)
    references: dict[str, list[Any]] = {"widget": [], "panel": [], "section": [], "logic": []}
    inner = widget.parent
    observers = []
    for _round in range(ROUNDS):
        widget.onReload()
        widget = getattr(slicer.modules, f"{module}Widget")
        host.selectModule(module)
        host.processEvents()
        for name, made in (
            ("widget", widget),
            ("panel", widget.panel),
            ("section", widget.panel.sections[0]),
            ("logic", widget.logic),
        ):
            references[name].append(weakref.ref(made))
        observers.append(len(inner.findChildren(qt.QTableWidget)))
        del made
    assert {name: alive(host, found) for name, found in references.items()} == dict.fromkeys(
        references, 1
    )
    assert len(set(observers)) == 1, "the old panels' widgets are gone, too"


@pytest.mark.parametrize("module", ["RPRLocalization", "RPRTraining"])
def test_tenOpeningsLeaveNoMoreThanOne(host, module):
    """With Slicer's own Python files something of theirs keeps the latest one."""
    references = []
    for _round in range(ROUNDS):
        widget = host.loadModule(module)
        host.processEvents()
        references += [weakref.ref(widget), weakref.ref(widget.panel), weakref.ref(widget.logic)]
        del widget
        host.unloadModules()
    assert alive(host, references[:-3]) == 0, "of all rounds but the last"
    assert alive(host, references) in (0, 3)

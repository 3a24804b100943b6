"""Tests on slicer-core (real MRML, no Qt): a scene per test."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import types

import pytest

slicer = pytest.importorskip("slicer", reason="needs slicer-core (pip install slicer-core)")


def _provideTranslation() -> None:
    """slicer-core has no ``slicer.i18n``; texts stay English here.

    Where the test host has started in the same process, its module is there, and stays.
    """
    if importlib.util.find_spec("slicer.i18n") is None:
        module = types.ModuleType("slicer.i18n")
        module.__spec__ = importlib.machinery.ModuleSpec("slicer.i18n", None)
        module.tr = lambda text: text
        module.translate = lambda context, text: text
        sys.modules["slicer.i18n"] = slicer.i18n = module


_provideTranslation()


@pytest.fixture
def scene(monkeypatch):
    """An empty MRML scene that is ``slicer.mrmlScene`` for the time of a test."""
    scene = slicer.vtkMRMLScene()
    monkeypatch.setattr(slicer, "mrmlScene", scene, raising=False)
    yield scene
    scene.Clear(True)

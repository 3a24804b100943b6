"""Tests on slicer-core (real MRML, no Qt): a scene per test."""

from __future__ import annotations

import sys
import types

import pytest

slicer = pytest.importorskip("slicer", reason="needs slicer-core (pip install slicer-core)")


def _provideTranslation() -> None:
    """slicer-core has no ``slicer.i18n``; texts stay English here."""
    if "slicer.i18n" not in sys.modules:
        module = types.ModuleType("slicer.i18n")
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

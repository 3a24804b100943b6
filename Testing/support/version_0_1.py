"""Files that version 0.1 wrote (Testing/fixtures/version-0.1)."""

from __future__ import annotations

import importlib.util
import json
from types import ModuleType
from typing import Any

from support.paths import TESTING

FOLDER = TESTING / "fixtures" / "version-0.1"


def make_inputs() -> ModuleType:
    """The script that writes the phantoms, as a module of its own every time."""
    spec = importlib.util.spec_from_file_location("make_inputs", FOLDER / "make_inputs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def expected() -> dict[str, Any]:
    """What version 0.1 found."""
    data: dict[str, Any] = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))
    return data

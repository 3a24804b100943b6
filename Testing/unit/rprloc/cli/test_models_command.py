"""``rprloc models``."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.command_line import Run


def test_models_lists_and_verifies(
    run: Run, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_model, tmp_path / "models" / "mine")
    monkeypatch.setenv("RPRLOC_MODELS", str(tmp_path / "models"))
    code, text, err = run("models", model=None)
    assert (code, err) == (0, "")
    assert "mine" in text
    assert "verified" in text
    with open(tmp_path / "models" / "mine" / "coarse.pt", "ab") as stream:
        stream.write(b"x")
    code, text, err = run("models", model=None)
    assert code == 2
    assert err.count("\n") == 1
    assert "DAMAGED" in text
    assert "checksum" in err

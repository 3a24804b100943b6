"""Help for tests of the command line."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rprloc.localization.locator import Locator
from support.samples import phantom_geometry, phantom_hu, write_image

Run = Callable[..., tuple[int, str, str]]


def rows_of(folder: Path) -> list[dict[str, str]]:
    with open(folder / "results.csv", newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def assert_refused(answer: tuple[int, str, str], *parts: str) -> None:
    """Exit code 2, nothing on stdout, and one line on stderr that holds all parts."""
    code, out, err = answer
    assert code == 2, err
    assert out == ""
    assert err.count("\n") == 1, err
    assert err.endswith("\n")
    for part in parts:
        assert part in err, err


def write_query(folder: Path, name: str = "good.nii.gz") -> Path:
    geometry = phantom_geometry((2.0, 0.0, 3.0))
    folder.mkdir(parents=True, exist_ok=True)
    return write_image(folder / name, phantom_hu(geometry), geometry)


def interrupt_at(monkeypatch: pytest.MonkeyPatch, query: str, error: BaseException) -> None:
    embed = Locator.embed

    def stop(self: Locator, volume: Any) -> Any:
        if volume.name == query:
            raise error
        return embed(self, volume)

    monkeypatch.setattr(Locator, "embed", stop)

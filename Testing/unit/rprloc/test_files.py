from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rprloc.errors import OutputError
from rprloc.files import (
    atomic_write_bytes,
    atomic_write_text,
    prepare_output_dir,
    prepare_output_file,
    remove_file,
    safe_name,
    safe_names,
)


def fail_with(number: int) -> Any:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    folder = prepare_output_dir(tmp_path / "a" / "b")
    assert folder.is_dir()
    assert not list(folder.iterdir())
    assert prepare_output_dir(folder) == folder


def test_used_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("old")
    with pytest.raises(OutputError, match="--overwrite"):
        prepare_output_dir(tmp_path)
    prepare_output_dir(tmp_path, overwrite=True)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("old.txt", "old")]


def test_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(OutputError, match="not a folder"):
        prepare_output_dir(tmp_path / "f", overwrite=True)
    with pytest.raises(OutputError):
        prepare_output_dir(tmp_path / "f" / "below")


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(Path, "touch", fail_with(number))
    with pytest.raises(OutputError, match="may not be written") as caught:
        prepare_output_dir(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_output_file_is_refused_unless_overwritten(tmp_path: Path) -> None:
    file = prepare_output_file(tmp_path / "new" / "t.json")
    assert file.parent.is_dir()
    file.write_text("x")
    with pytest.raises(OutputError, match="--overwrite"):
        prepare_output_file(file)
    assert prepare_output_file(file, overwrite=True) == file
    with pytest.raises(OutputError, match="is a folder"):
        prepare_output_file(tmp_path, overwrite=True)


def test_write_replaces_the_whole_file(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    atomic_write_text(file, "é\n" * 1000)
    atomic_write_bytes(file, b"new")
    assert file.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_full_disk_keeps_the_old_file_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    file = tmp_path / "a.json"
    file.write_text("old")
    monkeypatch.setattr(os, step, fail_with(errno.ENOSPC))
    with pytest.raises(OutputError, match="disk is full"):
        atomic_write_text(file, "new")
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_interruption_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.json"
    file.write_text("old")

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        atomic_write_text(file, "new")
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_missing_folder_and_removal(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        atomic_write_text(tmp_path / "no" / "a.txt", "x")
    remove_file(tmp_path / "absent")
    with pytest.raises(OutputError):
        remove_file(tmp_path)


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("Left parotid", "Left parotid"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..", "unnamed"),
        (".", "unnamed"),
        ("", "unnamed"),
        (" \t\n", "unnamed"),
        ("C:\\Windows\\x", "C__Windows_x"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("Com1", "_Com1"),
        ("console", "console"),
        (".hidden", "hidden"),
        ("-rf", "rf"),
        ("trailing. ", "trailing"),
        ("a\x00b\u202ec\n d", "abc d"),
        ("Oesophagus, où?", "Oesophagus, où_"),
        ("肝臓", "肝臓"),
    ],
)
def test_safe_names_of_odd_names(given_name: str, expected: str) -> None:
    assert safe_name(given_name) == expected


def test_collisions_ignore_case() -> None:
    assert safe_names(["Liver", "liver", "LIVER", "a/b", "a:b"]) == [
        "Liver",
        "liver-2",
        "LIVER-3",
        "a_b",
        "a_b-2",
    ]


def test_long_names_stay_short_and_different() -> None:
    a, b = safe_names(["é" * 300 + "1", "é" * 300 + "2"])
    assert a != b
    assert max(len(name.encode()) for name in (a, b)) <= 124


@given(st.lists(st.text(max_size=40), max_size=8))
def test_any_names_make_files_in_the_folder(names: list[str]) -> None:
    safe = safe_names(names)
    assert len({name.casefold() for name in safe}) == len(names)
    root = Path("/results")
    for name in safe:
        name.encode("utf-8")
        assert name
        assert Path(os.path.normpath(root / name)).parent == root
        assert not set(name) & set('<>:"/\\|?*\0')
        assert name == name.strip(". ")
        assert safe_name(name) == name

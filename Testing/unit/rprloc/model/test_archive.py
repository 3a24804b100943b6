"""Models installed, exported and imported.

Whole or not at all, and nothing from a file that is not one of ours.
"""

from __future__ import annotations

import io
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rprloc.cli.main import main
from rprloc.errors import ModelError, OutputError
from rprloc.model.archive import MANIFEST, export_model, import_model, install_model
from rprloc.model.card import CARD_NAME, read_card
from rprloc.model.finding import bytes_sha256, list_models
from rprloc.model.loading import load_model

Files = dict[str, bytes]


@pytest.fixture
def archive(tiny_model: Path, tmp_path: Path) -> Path:
    return export_model(tiny_model, tmp_path / "tiny.zip")


def rebuilt(archive: Path, change: Callable[[Files], None], keep_checksums: bool = False) -> Path:
    """The archive with other content, and a manifest that fits it unless ``keep_checksums``."""
    with zipfile.ZipFile(archive) as bundle:
        files = {name: bundle.read(name) for name in bundle.namelist()}
    change(files)
    if MANIFEST in files and not keep_checksums:
        manifest = json.loads(files[MANIFEST])
        manifest["files"] = {
            name: bytes_sha256(data) for name, data in files.items() if name != MANIFEST
        }
        files[MANIFEST] = json.dumps(manifest).encode()
    changed = archive.with_name("changed.zip")
    with zipfile.ZipFile(changed, "w") as bundle:
        for name, data in files.items():
            bundle.writestr(name, data)
    return changed


def test_a_model_travels_as_one_file(archive: Path, tiny_model: Path, tmp_path: Path) -> None:
    place = import_model(archive, tmp_path / "models")
    assert place == tmp_path / "models" / "tiny"
    assert read_card(place) == read_card(tiny_model)
    assert [
        entry.problem for entry in list_models([tmp_path / "models"]) if entry.folder == place
    ] == [""]
    load_model(place, torch.device("cpu"))
    again = export_model(place, tmp_path / "again.zip")
    assert again.read_bytes() == archive.read_bytes()
    assert sorted(p.name for p in (tmp_path / "models").iterdir()) == ["tiny"]


def test_only_the_model_is_installed(tiny_model: Path, tmp_path: Path) -> None:
    trained = tmp_path / "trained"
    shutil.copytree(tiny_model, trained)
    (trained / "coarse.ckpt").write_bytes(b"checkpoint")
    (trained / "run.json").write_text("{}")
    place = install_model(trained, tmp_path / "models")
    assert sorted(p.name for p in place.iterdir()) == ["coarse.pt", "fine.pt", CARD_NAME]
    with pytest.raises(OutputError, match="already"):
        install_model(trained, tmp_path / "models")
    (place / "old.txt").touch()
    assert install_model(trained, tmp_path / "models", overwrite=True) == place
    assert not (place / "old.txt").exists() and len(list((tmp_path / "models").iterdir())) == 1
    (trained / "fine.pt").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="checksum"):
        install_model(trained, tmp_path / "models", overwrite=True)
    assert read_card(place) == read_card(tiny_model)


def pickled(files: Files) -> None:
    files["coarse.pt"] = pickle.dumps({"weights": [1.0]})


def saved_by_torch(files: Files) -> None:
    stream = io.BytesIO()
    torch.save({"w": torch.ones(2)}, stream)
    files["coarse.pt"] = stream.getvalue()


def edited(**changes: object) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        files[CARD_NAME] = json.dumps({**json.loads(files[CARD_NAME]), **changes}).encode()

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda files: files.pop(CARD_NAME), "not an exported"),
        (lambda files: files.pop(MANIFEST), "not an exported"),
        (lambda files: files.pop("fine.pt"), "networks that its card names"),
        (lambda files: files.update({"../evil.pt": b"x"}), "no file of a model"),
        (lambda files: files.update({"evil.py": b"x"}), "no file of a model"),
        (lambda files: files.update({"a.pt": b"", "b.pt": b""}), "not an exported"),
        (lambda files: files.update({"c.pt": b""}), "not an exported|card names"),
        (
            lambda files: files.update({"coarse.pt": files["coarse.pt"][:-1]}),
            "TorchScript|checksum",
        ),
        (pickled, "TorchScript"),
        (saved_by_torch, "TorchScript"),
        (edited(schema="other"), "not the card"),
        (edited(stages={}), "lacks or misstates"),
        (lambda files: files.update({CARD_NAME: b"[" * 100_000}), "card"),
        (lambda files: files.update({CARD_NAME: b"\xff\xfe"}), "card"),
    ],
)
def test_foreign_files_are_refused(
    archive: Path, tmp_path: Path, change: Callable[[Files], None], reason: str
) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        import_model(rebuilt(archive, change), tmp_path / "models")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "models").exists() or not list((tmp_path / "models").iterdir())


def test_a_network_other_than_the_cards_is_refused(archive: Path, tmp_path: Path) -> None:
    def exchange(files: Files) -> None:
        files["coarse.pt"], files["fine.pt"] = files["fine.pt"], files["coarse.pt"]

    with pytest.raises(ModelError, match="wrong checksum"):
        import_model(rebuilt(archive, exchange), tmp_path / "models")
    with pytest.raises(ModelError, match="wrong checksum"):
        import_model(rebuilt(archive, exchange, keep_checksums=True), tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.parametrize("name", ["/abs.pt", "a/b.pt", "..\\up.pt", "coarse.pt/"])
def test_paths_in_an_archive_are_refused(archive: Path, tmp_path: Path, name: str) -> None:
    def add(files: Files) -> None:
        files[name] = files.pop("fine.pt")

    with pytest.raises(ModelError):
        import_model(rebuilt(archive, add), tmp_path / "models")


def test_a_bomb_is_refused_without_being_unpacked(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rprloc.model.archive.LARGEST_NETWORK", 1_000)
    with pytest.raises(ModelError, match="too large"):
        import_model(archive, tmp_path / "models")


@pytest.mark.parametrize("cut", [0, 10, 2000, -30])
def test_a_damaged_archive_is_refused(archive: Path, tmp_path: Path, cut: int) -> None:
    whole = archive.read_bytes()
    archive.write_bytes(whole[:cut])
    with pytest.raises(ModelError):
        import_model(archive, tmp_path / "models")
    middle = len(whole) // 2
    archive.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    with pytest.raises(ModelError):
        import_model(archive, tmp_path / "models")


def test_the_command_line(
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("RPRLOC_MODELS", raising=False)
    assert main(["models", "export", str(tiny_model), str(tmp_path / "t.zip")]) == 0
    assert main(["models", "export", str(tiny_model), str(tmp_path / "t.zip")]) == 2
    assert main(["models", "import", str(tmp_path / "t.zip")]) == 2
    assert "--into" in capsys.readouterr().err
    monkeypatch.setenv("RPRLOC_MODELS", str(tmp_path / "models"))
    assert main(["models", "import", str(tmp_path / "t.zip")]) == 0
    assert main(["models", "install", str(tiny_model)]) == 2
    assert main(["models", "install", str(tiny_model), "--overwrite"]) == 0
    assert main(["models"]) == 0
    assert f"{tmp_path / 'models' / 'tiny'}" in capsys.readouterr().out

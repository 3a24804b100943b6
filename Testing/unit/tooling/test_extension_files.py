"""The extension's packaging: every file is listed, placeholders are in known places, icons fit."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT

MODULES = [ROOT / "RPRLocalization", ROOT / "RPRTraining"]
PLACEHOLDER = "github.com/OWNER/SlicerRPRLoc"


def listed(folder: Path) -> list[str]:
    """Files that a module's CMakeLists.txt names in its lists."""
    text = (
        (folder / "CMakeLists.txt")
        .read_text(encoding="utf-8")
        .replace("${MODULE_NAME}", folder.name)
    )
    lists = re.findall(r"set\(MODULE_PYTHON_(?:SCRIPTS|RESOURCES)(.*?)\)", text, flags=re.DOTALL)
    return [name for part in lists for name in part.split()]


def present(folder: Path) -> list[str]:
    """Files of a module that must be packaged."""
    files = [
        p.relative_to(folder)
        for p in folder.rglob("*")
        if p.is_file() and p.name != "CMakeLists.txt"
    ]
    return [
        p.as_posix()
        for p in files
        if not any(part.startswith((".", "__pycache__")) for part in p.parts)
    ]


@pytest.mark.parametrize("folder", MODULES, ids=lambda folder: folder.name)
def test_everyFileIsPackagedOnce(folder: Path) -> None:
    assert sorted(listed(folder)) == sorted(present(folder))


def test_modulesShareNoFileName() -> None:
    """Both modules install into one flat folder."""
    names = [name for folder in MODULES for name in listed(folder)]
    assert len(names) == len(set(names)) and not any(name.startswith("Testing") for name in names)


def test_installedInOneFolderTheWorkerFindsTheBundledModels(tmp_path: Path) -> None:
    """As the package of the extension is laid out: without the checkout around it."""
    for module in MODULES:
        for name in listed(module):
            target = tmp_path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(module / name, target)
    command = [sys.executable, "-m", "rprloc.worker", "--plugin", "rprtrain.worker.plugin"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "RPRLOC_MODELS": ""}
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment,
    ) as worker:
        assert worker.stdin is not None and worker.stdout is not None
        worker.stdin.write(json.dumps({"id": 1, "method": "models", "params": {}}) + "\n")
        worker.stdin.flush()
        answer = next(
            event
            for event in map(json.loads, worker.stdout)
            if event["event"] in ("result", "error")
        )
        worker.stdin.close()
    folders = [Path(model["folder"]) for model in answer["models"] if not model["problem"]]
    bundled = tmp_path / "Resources" / "Models"
    assert folders == [bundled / "body-ct", bundled / "han-ct"]


def test_bothModulesAreBuilt() -> None:
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert re.findall(r"^add_subdirectory\((\w+)\)$", text, flags=re.MULTILINE) == [
        folder.name for folder in MODULES
    ]


def test_extensionFieldsAreOneQuotedStringEach() -> None:
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    fields = re.findall(r"^set\((EXTENSION_\w+) (.*)\)$", text, flags=re.MULTILINE)
    names = [
        "HOMEPAGE",
        "CATEGORY",
        "CONTRIBUTORS",
        "DESCRIPTION",
        "ICONURL",
        "SCREENSHOTURLS",
        "DEPENDS",
        "LICENSE_FILE",
        "README_FILE",
    ]
    assert [name for name, _ in fields] == [f"EXTENSION_{name}" for name in names]
    assert all(re.fullmatch(r'"[^"]+"', value) for _, value in fields)


def test_addressesAreWrittenOutAndTheirFilesExist() -> None:
    """The extensions index reads the text of the file, and fetches what it names."""
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    raw = "https://raw.githubusercontent.com/OWNER/SlicerRPRLoc/main/"
    for field in ("ICONURL", "SCREENSHOTURLS"):
        (address,) = re.findall(rf'^set\(EXTENSION_{field} "(.*)"\)$', text, flags=re.MULTILINE)
        assert address.startswith(raw) and "${" not in address
        assert (ROOT / address.removeprefix(raw)).is_file()
    screenshot = re.search(r"EXTENSION_SCREENSHOTURLS .*/(\w+)\.png", text)
    assert screenshot is not None and screenshot.group(1) == "localization", "it shows the panel"


def test_licenceAndReadmeAreNamedBeforeSlicersFile() -> None:
    """Slicer's file sets both to Slicer's own where they are not set, and overwrites CPack's."""
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    begin = text.index("find_package(Slicer")
    for field, file in (("LICENSE_FILE", "LICENSE.txt"), ("README_FILE", "README.md")):
        setting = f'set(EXTENSION_{field} "${{CMAKE_CURRENT_SOURCE_DIR}}/{file}")'
        assert 0 <= text.find(setting) < begin and (ROOT / file).is_file()
    assert "CPACK_RESOURCE_FILE_LICENSE" not in text


def test_repositoryIsCalledAsTheIndexWantsIt() -> None:
    entry = json.loads((ROOT / "RPRLoc.json").read_text(encoding="utf-8"))
    assert entry["scm_url"].rpartition("/")[2] == "SlicerRPRLoc"
    project = re.search(r"^project\((\w+)\)", (ROOT / "CMakeLists.txt").read_text(), re.MULTILINE)
    assert project is not None and project.group(1) == "RPRLoc", "the name of the catalog entry"


def test_catalogEntryAgreesWithCMake() -> None:
    entry = json.loads((ROOT / "RPRLoc.json").read_text(encoding="utf-8"))
    keys = "$schema build_dependencies build_subdirectory category scm_revision scm_url tier"
    assert sorted(entry) == sorted(keys.split())
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert f'set(EXTENSION_CATEGORY "{entry["category"]}")' in text
    assert f'set(EXTENSION_DEPENDS "{" ".join(entry["build_dependencies"])}")' in text
    described = (ROOT / "RPRLoc.s4ext").read_text(encoding="utf-8")
    assert (
        f"scmurl {entry['scm_url']}\n" in described
        and f"category {entry['category']}\n" in described
    )


def test_placeholderOfTheAddressIsKnown() -> None:
    """Whoever publishes the extension replaces OWNER in three files; it occurs in no other."""
    holders = {"CMakeLists.txt", "RPRLoc.s4ext", "RPRLoc.json"}
    assert all(PLACEHOLDER in (ROOT / name).read_text(encoding="utf-8") for name in holders)
    code = [p for folder in MODULES for p in folder.rglob("*.py")]
    assert not [p for p in code if PLACEHOLDER in p.read_text(encoding="utf-8")]


ICONS = ["Resources/Icons/RPRLoc.png"] + [
    f"{folder.name}/Resources/Icons/{folder.name}.png" for folder in MODULES
]


@pytest.mark.parametrize("icon", ICONS)
def test_iconsHave128Pixels(icon: str) -> None:
    header = (ROOT / icon).read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", header[16:24]) == (128, 128)


@pytest.mark.parametrize("folder", MODULES, ids=lambda folder: folder.name)
def test_packagedFilesAreSmall(folder: Path) -> None:
    assert all((folder / name).stat().st_size < 10_000_000 for name in listed(folder))

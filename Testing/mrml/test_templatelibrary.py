"""The template library: files in, files out; what came with the extension stays as it is."""

from __future__ import annotations

import json

import pytest
from RPRLocalizationLib.library.templatelibrary import TemplateLibrary, readTemplate
from support.panels.fake_worker import template

from rprloc.errors import InputError, TemplateError

NOSE = template(
    [{"name": "nose", "kind": "landmark", "examples": [{"reference": "A"}, {"reference": "B"}]}]
)
BUNDLED = ("bundled/han-ct-organs", "bundled/body-ct-organs")


@pytest.fixture
def library(tmp_path):
    return TemplateLibrary(tmp_path / "user" / "templates")


def test_bundledTemplatesAreListedByBodyRegionWithTheirOrgans(library):
    head, body = library.templates()
    assert all(info.bundled for info in (body, head))
    assert (head.bodyRegion, body.bodyRegion) == ("head and neck", "whole body")
    assert (head.key, body.key) == BUNDLED
    assert {"Brainstem", "Mandible", "Larynx"} <= {target.name for target in head.targets}
    assert all(len(target.references) >= 5 for target in head.targets)
    assert {"carina", "liver", "kidney_left"} <= {target.name for target in body.targets}


def test_savedTemplateIsListedFoundAndReadBack(library):
    info = library.save(NOSE, "My nose")
    assert library.find("user/My nose") == info and not info.bundled
    assert info.targets[0].references == ("A", "B")
    assert library.content(info) == NOSE


def test_unusedTargetsAreLeftOut(library):
    info = library.save(
        template([*NOSE["targets"], {"name": "ear", "kind": "box", "examples": []}]), "two"
    )
    assert [t["name"] for t in library.content(info, ["nose"])["targets"]] == ["ear"]


def test_replaceShowsTheNewContent(library):
    info = library.save(NOSE, "nose")
    ear = template([{"name": "ear", "kind": "box", "examples": [{"reference": "C"}]}])
    assert library.replace(info, ear).targets[0].name == "ear"
    assert library.find(info.key).targets[0].name == "ear"


def test_renameAndDelete(library):
    info = library.rename(library.save(NOSE, "old"), "new")
    assert library.find("user/old") is None and library.find("user/new") == info
    library.delete(info)
    assert tuple(t.key for t in library.templates()) == BUNDLED


def test_exportAndImport(library, tmp_path):
    library.exportFile(library.save(NOSE, "nose"), tmp_path / "shared.json")
    assert readTemplate(tmp_path / "shared.json") == NOSE
    assert library.importFile(tmp_path / "shared.json").title == "shared"


@pytest.mark.parametrize("action", ["rename", "delete", "replace"])
def test_bundledTemplatesCannotBeChanged(library, action):
    info = library.templates()[0]
    arguments = {"rename": ("x",), "delete": (), "replace": (NOSE,)}[action]
    with pytest.raises(InputError, match="cannot be changed"):
        getattr(library, action)(info, *arguments)


@pytest.mark.parametrize("title", ["", "   "])
def test_emptyTitlesAreRefused(library, title):
    with pytest.raises(InputError, match="needs a name"):
        library.save(NOSE, title)


def test_titlesInUseAreRefused(library):
    library.save(NOSE, "nose")
    with pytest.raises(InputError, match="already"):
        library.checkTitle("nose")


def test_titlesCannotLeaveTheFolder(library):
    info = library.save(NOSE, "../../evil")
    assert info.path.parent == library.userFolder


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"schema": "rprloc-template"}', json.dumps({**NOSE, "targets": []})],
)
def test_damagedFilesAreNotImportedAndDoNotBreakTheList(library, tmp_path, content):
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(TemplateError, match=r"bad\.json"):
        library.importFile(tmp_path / "bad.json")
    library.save(NOSE, "good")
    (library.userFolder / "bad.json").write_text(content)
    assert [t.title for t in library.templates() if not t.bundled] == ["good"]
    assert [path.name for path in library.damaged()] == ["bad.json"]


def test_missingFileIsSaid(library, tmp_path):
    with pytest.raises(TemplateError, match="cannot be read"):
        library.importFile(tmp_path / "none.json")

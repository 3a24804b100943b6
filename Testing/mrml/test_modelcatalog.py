"""The list of models that can be chosen: the folders may hold anything."""

from __future__ import annotations

import json

import pytest
from RPRLocalizationLib.library import modelcatalog
from RPRLocalizationLib.library.modelcatalog import BUNDLED, listModels, readCard
from support.version_0_1 import FOLDER

from rprloc.model.card import CARD_NAME, DEFAULT_MODEL, read_card

CARD = FOLDER / "model" / CARD_NAME


def test_bundledModelIsListedUnderTheDefaultName(scene):
    infos = {info.key: info for info in listModels()}
    assert infos[DEFAULT_MODEL].identity == read_card(BUNDLED / DEFAULT_MODEL).identity


def test_usersFolderIsListedAfterTheBundledModels(scene, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / CARD_NAME).write_bytes(CARD.read_bytes())
    mine = listModels(str(tmp_path))[-1]
    assert mine.folder == tmp_path / "mine" and mine.key == str(tmp_path / "mine")
    assert mine.title == "compat-tiny 0.9.0: phantom"


def test_folderOfOneModelIsAUsersFolderToo(scene):
    assert [info.name for info in listModels(str(CARD.parent))][-1] == "compat-tiny"


def changed(**changes: object) -> bytes:
    return json.dumps({**json.loads(CARD.read_text(encoding="utf-8")), **changes}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[1, 2]",
        b"[" * 100_000,
        b'{"schema": "something else"}',
        changed(schema_version=99),
        changed(stages=None),
        changed(stages={"coarse": 7}),
        CARD.read_bytes().replace(b'"stem": ', b'"stem": Infinity, "was": '),
    ],
    ids=["empty", "bytes", "list", "nested", "schema", "version", "stages", "stage", "infinite"],
)
def test_whatIsNoModelCardIsLeftOut(scene, tmp_path, content):
    (tmp_path / CARD_NAME).write_bytes(content)
    assert readCard(tmp_path / CARD_NAME) is None
    assert listModels(str(tmp_path)) == listModels()


def test_missingAndLargeFilesAreNotRead(scene, tmp_path, monkeypatch):
    assert readCard(tmp_path / CARD_NAME) is None
    monkeypatch.setattr(modelcatalog, "MAX_CARD_BYTES", CARD.stat().st_size - 1)
    assert readCard(CARD) is None

"""What a cohort has to do is planned without torch, the largest CTs first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.paths import BUNDLED_TEMPLATES
from support.without_modules import run_without

pytest.importorskip("pyarrow", reason="the extra 'cohort' is not installed")

from rprloc.cohort.index_rows import READABLE, Index, IndexRow
from rprloc.cohort.locating import LocateRequest, plan
from rprloc.cohort.request import choose_templates

TEMPLATE = BUNDLED_TEMPLATES / "han-ct-organs.json"
SPACING = (1.0, 1.0, 2.5)


def row(name: str, slices: int) -> IndexRow:
    return IndexRow(
        series_id=name,
        path=name,
        format="nifti",
        files=1,
        bytes=1,
        verdict=READABLE,
        reason="",
        size=(512, 512, slices),
        spacing=SPACING,
    )


def test_the_largest_cts_are_handed_out_first(tmp_path: Path) -> None:
    rows = [row("head", 60), row("whole", 360), row("chest", 130)]
    unknown = replace(row("unknown", 100), size=None, spacing=None)
    index = Index(rows=[unknown, *rows], root=tmp_path)
    todo = plan(LocateRequest(index, choose_templates([TEMPLATE], None), tmp_path / "out"))
    assert [task.row.series_id for task in todo.tasks] == ["whole", "chest", "head", "unknown"]


def test_a_plan_needs_no_torch() -> None:
    code = (
        "from pathlib import Path\n"
        "import rprloc.cohort.locating\n"
        "from rprloc.cohort.request import choose_templates\n"
        f"print(choose_templates([Path({str(TEMPLATE)!r})], None)[0].model.name)"
    )
    assert run_without(("torch",), code) == "han-ct"

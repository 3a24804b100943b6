"""What a cohort keeps of an answer, and whose model it asks."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from rprloc.cohort import parts, task
from rprloc.cohort.index_rows import READABLE, IndexRow
from rprloc.cohort.request import (
    Extras,
    SearchOptions,
    SeriesTask,
    TemplateChoice,
    WorkerOptions,
    choose_templates,
)
from rprloc.cohort.stored_results import stored_results
from rprloc.localization.result import Result
from rprloc.model.finding import PATH_VARIABLE

pytest.importorskip("pyarrow", reason="the extra 'cohort' is not installed")

KEY = "0123abcd"
CHOICE = TemplateChoice("organs", Path("organs.json"), "0", Path("m"), (("name", "tiny"),))
# Version 0.1 of the table, of which readers may know the columns by number.
COLUMNS = (
    *("series_id", "path", "template", "model", "target", "kind", "status"),
    *("cx", "cy", "cz", "sx", "sy", "sz", "spread_mm", "cycle_mm", "similarity"),
    *("reason", "cause"),
)


def written(out: Path, radius_mm: float | None) -> SeriesTask:
    """A task whose one answer is on disk."""
    row = IndexRow("5e71e5", "ct.nii.gz", "nifti", 1, 1, READABLE, "")
    templates = ((KEY, CHOICE),)
    done = SeriesTask(out, row, templates, SearchOptions(), Extras(), WorkerOptions(), out)
    center = np.array([1.0, 2.0, 3.0])
    answer = Result("5e71e5", "Carina", "landmark", "ok", center=center, radius90_mm=radius_mm)
    rows = [task.row_of(done, KEY, CHOICE, answer)]
    parts.write_part(parts.part_path(out, row.series_id, [KEY]), rows)
    return done


def test_the_radius_is_in_the_table_behind_the_old_columns(tmp_path: Path) -> None:
    done = written(tmp_path, 7.256)
    parts.merge(tmp_path, [KEY])
    with open(tmp_path / parts.RESULTS_CSV, encoding="utf-8", newline="") as stream:
        header, row = csv.reader(stream)
    assert header == [*COLUMNS, "radius90_mm"]
    assert (row[header.index("radius90_mm")], row[header.index("model")]) == ("7.26", "tiny")

    (again,) = stored_results(tmp_path, done.row.series_id, [KEY])
    assert (again.radius90_mm, again.model) == (7.256, "tiny")


def test_a_part_without_the_radius_is_read_as_one_that_nobody_can_tell(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    done = written(tmp_path, 7.0)
    (path,) = tmp_path.glob("parts/*/*.parquet")
    pq.write_table(pq.read_table(path).drop_columns(["radius90_mm"]), path)
    assert parts.merge(tmp_path, [KEY]) == {"ok": 1}
    (again,) = stored_results(tmp_path, done.row.series_id, [KEY])
    assert again.radius90_mm is None


@pytest.mark.parametrize("model", [None, "auto"])
def test_the_model_of_a_template_is_found_in_a_folder_of_any_name(
    tmp_path: Path,
    tiny_model: Path,
    cohort_template: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str | None,
) -> None:
    shutil.copytree(tiny_model, tmp_path / "models" / "renamed")
    monkeypatch.setenv(PATH_VARIABLE, str(tmp_path / "models"))
    (choice,) = choose_templates([cohort_template], model)
    assert choice.model == (tmp_path / "models" / "renamed").resolve()

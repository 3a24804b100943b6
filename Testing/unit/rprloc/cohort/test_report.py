"""``rprloc cohort report``: outliers first; a browser sorts, filters and decides."""

from __future__ import annotations

import csv
import html
import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.command_line import assert_refused, write_query

from rprloc.cli.main import main
from rprloc.cohort.index_rows import series_id
from rprloc.cohort.locating import REQUEST
from rprloc.cohort.parts import merge, part_path, write_part

for _needed in ("pyarrow", "plotly", "tqdm", "matplotlib"):
    pytest.importorskip(_needed, reason="the extra 'cohort' is not installed")

from rprloc.cohort.report.answers import read_answers  # noqa: E402
from rprloc.cohort.report.outliers import find_outliers  # noqa: E402

SERIES = 30
SIZES = {"Head": (90.0, 110.0, 95.0), "Spine": (30.0, 30.0, 80.0), "Tip": None, "Jaw": (60.0,) * 3}
PLACES = {"Head": (0, 0, 190), "Spine": (0, 60, 100), "Tip": (0, 0, 250), "Jaw": (0, -30, 150)}
LOADING_MS = 240_000
ODD = "<script>alert(1)</script> @@ROWS@@.nii.gz"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a cohort: a head too large, a spine out of place, and names of all kinds."""
    folder = tmp_path_factory.mktemp("cohort")
    tree, out = folder / "tree", folder / "out"
    write_query(tree, "ct00.nii.gz")
    rng, keys = np.random.default_rng(3), []
    for n in range(SERIES):
        path = ODD if n == 7 else f"ct{n:02d}.nii.gz"
        name, key = series_id(path, ""), f"{n:012d}"
        shift = rng.normal(0, 100, 3)
        rows = [_row(key, name, path, target, shift, rng, n) for target in SIZES]
        write_part(part_path(out, name, [key]), rows)
        keys.append(key)
    merge(out, keys)
    (out / REQUEST).write_text(json.dumps({"root": str(tree)}))
    return out


def _row(
    key: str, name: str, path: str, target: str, shift: Any, rng: Any, n: int
) -> dict[str, Any]:
    size = SIZES[target]
    center = np.array(PLACES[target]) + shift + rng.normal(0, 3, 3)
    scale = 1.0 + rng.normal(0, 0.05, 3)
    if n == 0 and target == "Head":
        scale[2] *= 1.9
    if n == 1 and target == "Spine":
        center = center + np.array([0, 45, 0])
    failed = n == 2
    status = "failed" if failed else "low-confidence" if n == 3 else "ok"
    numbers = dict(zip(("cx", "cy", "cz"), center, strict=True))
    if size is not None:
        numbers |= dict(zip(("sx", "sy", "sz"), np.array(size) * scale, strict=True))
    return {
        **{"key": key, "series_id": name, "path": path, "template": "organs", "model": "tiny"},
        **{"target": target, "kind": "landmark" if size is None else "box", "status": status},
        **({} if failed else {**numbers, "spread_mm": 3.0, "cycle_mm": 4.0}),
        **{"reason": "=1+1, not a CT" if failed else "", "cause": "refused" if failed else ""},
    }


@pytest.fixture(scope="module")
def page(results: Path) -> Path:
    out = results / "report.html"
    assert main(["cohort", "report", str(results), "--out", str(out), "--synthetic"]) == 0
    return out


def test_what_is_odd_comes_first_and_says_why(results: Path) -> None:
    answers = read_answers(results)
    found = find_outliers(answers)
    order = np.argsort(-np.nan_to_num(found.score, nan=-1.0))
    first = [(answers.texts["path"][n], answers.texts["target"][n]) for n in order[:2]]
    assert sorted(first) == [("ct00.nii.gz", "Head"), ("ct01.nii.gz", "Spine")]
    by_row = dict(zip(first, (found.why[n] for n in order[:2]), strict=True))
    assert "size up-down" in by_row["ct00.nii.gz", "Head"]
    assert "place front-back +" in by_row["ct01.nii.gz", "Spine"]
    # The rest is noise of the usual size.
    assert (np.nan_to_num(found.score) > 3.5).sum() <= 6
    assert np.isnan(found.score[answers.texts["status"] == "failed"]).all()


def test_the_page_holds_everything_itself(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="(?:https?:)?//', text)
    assert "default-src 'none'" in html.unescape(text)
    assert "<script>alert(1)" not in text
    rows = json.loads(re.search(r'id="rows">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]
    assert len(rows) == SERIES * len(SIZES)
    assert rows[0]["picture"].startswith("data:image/png;base64,")
    assert rows[0]["link"].startswith("file://")


def test_results_that_are_not_there_are_refused(
    tmp_path: Path, results: Path, page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        return main(["cohort", "report", *arguments]), *capsys.readouterr()

    assert_refused(refused(str(tmp_path)), "cohort locate")
    assert_refused(refused(str(results)), "--overwrite")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no Chromium (apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        yield driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])


@pytest.fixture
def view(browser: Any, page: Path) -> Iterator[Any]:
    """The page, loaded; nothing may be complained of in its console or asked of the network."""
    context = browser.new_context(viewport={"width": 1500, "height": 1000}, accept_downloads=True)
    context.set_default_timeout(LOADING_MS)
    tab = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else 0)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(page.as_uri())
    tab.wait_for_selector("#answers tbody tr")
    yield tab
    context.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [page.as_uri()]


def column(view: Any, n: int) -> list[str]:
    texts: list[str] = view.locator(f"#answers tbody tr td:nth-child({n})").all_inner_texts()
    return texts


def test_the_figures_are_drawn(view: Any) -> None:
    assert view.locator(".figures .main-svg").count() >= 4
    assert view.locator(".figures .bars path").count() > 0
    # Asked again and again: the page's policy forbids the eval that Playwright's own waiting needs.
    fits = "one => one.scrollWidth <= one.parentElement.clientWidth / 2 + 10"
    deadline = time.monotonic() + LOADING_MS / 1000
    while not all(view.locator(".figures > div").evaluate_all(f"all => all.map({fits})")):
        assert time.monotonic() < deadline, "the figures never fit their columns"
        view.wait_for_timeout(50)
    assert view.locator("#answers img").first.evaluate("image => image.naturalWidth") == 450


def test_it_sorts(view: Any) -> None:
    scores = [float(text or -1) for text in column(view, 1)]
    assert scores == sorted(scores, reverse=True) and len(scores) == SERIES * len(SIZES)
    view.get_by_role("button", name="target", exact=True).click()
    assert column(view, 3) == sorted(column(view, 3))
    view.get_by_role("button", name="target", exact=True).click()
    assert column(view, 3) == sorted(column(view, 3), reverse=True)
    view.get_by_role("button", name="size mm", exact=True).click()
    assert column(view, 3)[0] == "Head" and column(view, 5)[0] == "ct00.nii.gz"


def test_it_filters(view: Any) -> None:
    view.select_option("#status", "failed")
    assert set(column(view, 4)) == {"failed"} and len(column(view, 4)) == len(SIZES)
    view.select_option("#status", "")
    view.select_option("#target", "Jaw")
    view.fill("#search", "script alert")
    assert column(view, 5) == [ODD]
    view.fill("#search", "nothing at all")
    assert column(view, 5) == []
    assert view.inner_text("#count").startswith("0 of 120")


def test_it_decides_by_keys_and_downloads(view: Any, tmp_path: Path) -> None:
    view.locator("h1").click()
    for key in ("a", "r", "j", "a", "k", "u", "r"):
        view.keyboard.press(key)
    decided = [text for text in column(view, 11) if text]
    assert decided == ["accept", "reject", "reject"]
    # Letters in the search box are letters.
    view.fill("#search", "")
    view.type("#search", "ar")
    assert "3 decided" in view.inner_text("#count")
    view.fill("#search", "")
    view.select_option("#decision", "reject")
    assert len(column(view, 11)) == 2
    with view.expect_download() as waiting:
        view.click("#download")
    waiting.value.save_as(tmp_path / "decisions.csv")
    with open(tmp_path / "decisions.csv", newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["decision"] for row in rows] == ["accept", "reject", "reject"]
    assert {(row["path"], row["target"]) for row in rows} >= {
        ("ct00.nii.gz", "Head"),
        ("ct01.nii.gz", "Spine"),
    }

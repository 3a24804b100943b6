from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.benchmark_rows import CHANGES, ORGANS, TITLES, VARIANTS, made_up_facts, made_up_results

pytest.importorskip(
    "sklearn", reason="the benchmark's report needs scikit-learn (pip install .[bench])"
)
pytest.importorskip(
    "matplotlib", reason="the benchmark's report needs matplotlib (pip install .[bench])"
)
pytest.importorskip(
    "tabulate", reason="the benchmark's report needs tabulate (pip install .[bench])"
)

from rprbench.report.document import Grid, Points, Section, Text, to_html, to_markdown
from rprbench.report.from_results import read_results
from rprbench.report.measurements import EXPERIMENTS
from rprbench.report.paper_values import QUOTED
from rprbench.report.report import (
    FIGURES,
    FILES,
    PICTURES,
    published,
    write_measurements,
    write_report,
)
from rprbench.report.style import spaced
from rprloc.errors import InputError

SECTIONS = (
    "Summary",
    "How it was measured",
    "Table 1",
    "Table 2",
    "Table 3",
    "The method as in the paper",
    "Honest statuses",
    "Few-shot",
    "Robustness",
    "Cost",
    "The paper's figures beside ours",
    "What this does not show",
)
INTERVAL = "IoU minus ours (95 % interval)"
Results = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def results() -> Results:
    return made_up_results()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, results: Results) -> Path:
    """Folder of a full report. Do not change its files."""
    folder = tmp_path_factory.mktemp("report")
    write_report(folder, results, made_up_facts())
    return folder


def section(markdown: str, title: str) -> str:
    """The text of one section."""
    return markdown.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def grid(text: str, caption: str) -> dict[str, dict[str, str]]:
    """A Markdown table: first cell -> column -> cell."""
    lines = text.split(caption, 1)[1].strip().splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("|"))
    cells = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        cells.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    head, body = cells[0], cells[2:]
    return {row[0]: dict(zip(head, row, strict=True)) for row in body}


def means(results: Results, experiment: str, method: str, field: str) -> dict[str, float]:
    """Plain mean of each organ's rows."""
    rows = [r for r in results[experiment] if r["method"] == method and r[field] is not None]
    return {
        organ: float(np.mean([r[field] for r in rows if r["organ"] == organ])) for organ in ORGANS
    }


def test_every_section_is_there_once_and_in_order(report: Path) -> None:
    headings = [
        line[3:]
        for line in (report / "report.md").read_text("utf-8").splitlines()
        if line.startswith("## ")
    ]
    assert headings == list(SECTIONS)
    page = (report / "report.html").read_text("utf-8")
    assert [h.replace("&#x27;", "'") for h in re.findall(r"<h2>(.*?)</h2>", page)] == list(SECTIONS)
    assert "Not run" not in page


@pytest.mark.parametrize(
    ("heading", "caption", "experiment", "method"),
    [
        ("Table 1", "Table 1:", "accuracy-runs", "coarse-k15"),
        ("Table 2", "Table 2:", "accuracy-ours", "ours-coarse2"),
        ("Table 3", "Table 3:", "accuracy-ours", "ours-fine"),
        ("Table 3", "Table 3:", "accuracy-registration", "bspline"),
        ("Table 3", "Table 3:", "accuracy-detector", "detector"),
        ("The method as in the paper", "Patches cut", "accuracy-paper", "paper-latent"),
    ],
)
def test_tables_hold_the_means(
    report: Path, results: Results, heading: str, caption: str, experiment: str, method: str
) -> None:
    row = grid(section((report / "report.md").read_text("utf-8"), heading), caption)[TITLES[method]]
    iou, awd = (
        means(results, experiment, method, "iou"),
        means(results, experiment, method, "awd_mm"),
    )
    assert row["Brain stem"] == f"{iou['Brainstem']:.1f}, {awd['Brainstem']:.2f}"
    assert row["R parotid"] == f"{iou['RightParotid']:.1f}, {awd['RightParotid']:.2f}"
    assert row["Mean"] == f"{np.mean(list(iou.values())):.1f}, {np.mean(list(awd.values())):.2f}"


def test_table3_has_times_memory_spread_and_the_difference_to_ours(
    report: Path, results: Results
) -> None:
    text = section((report / "report.md").read_text("utf-8"), "Table 3")
    rows = grid(text, "Table 3:")
    gray, ours, detector = (rows[TITLES[m]] for m in ("gs-mse", "ours-fine", "detector"))
    assert (gray["s per organ"], gray["s per patient"], gray["Peak memory MB"]) == (
        "8.4",
        "14",
        "700",
    )
    per_reference = []
    for name in sorted({r["reference"] for r in results["accuracy-gray"]}):
        part = [
            r
            for r in results["accuracy-gray"]
            if r["method"] == "gs-mse" and r["reference"] == name
        ]
        per_reference.append(
            np.mean([np.mean([r["iou"] for r in part if r["organ"] == o]) for o in ORGANS])
        )
    assert gray["SD over references"].startswith(f"{np.std(per_reference, ddof=1):.1f}, ")
    assert gray["Worst reference"].startswith(f"{min(per_reference):.1f}, ")
    assert detector["SD over references"] == detector["Worst reference"] == "-"
    column = INTERVAL
    assert ours[column] == "-"
    middle, lower, upper = map(float, re.findall(r"[+-]\d+\.\d", gray[column]))
    difference = np.mean(
        [r["iou"] for r in results["accuracy-gray"] if r["method"] == "gs-mse"]
    ) - np.mean([r["iou"] for r in results["accuracy-ours"] if r["method"] == "ours-fine"])
    assert lower < middle < upper < 0 and middle == pytest.approx(difference, abs=0.3)
    assert len(rows) == 10 and next(iter(rows)) == TITLES["ours-fine"]
    plain = grid(text, "The plain sliding window, estimated")[TITLES["gs-ncc"]]
    assert (
        plain["s per organ here"] == "9.0" and plain["s per organ, plain sliding window"] == "900"
    )


OVERVIEW = "All methods, best IoU first"


def test_summary_compares_ours_with_every_method(report: Path, results: Results) -> None:
    text = section((report / "report.md").read_text("utf-8"), "Summary")
    rows = grid(text, OVERVIEW)
    rivals = {
        method
        for experiment, variants in VARIANTS.items()
        if experiment not in ("accuracy-ours", "accuracy-runs")
        for method in variants
    }
    ours = rows.pop(f"{TITLES['ours-fine']} (ours)")
    assert set(rows) == {TITLES[method] for method in rivals}
    assert all(re.search(r"\(.* to .*\)", row[INTERVAL]) and row["p"] for row in rows.values())
    assert ours[INTERVAL] == "-"
    mean = np.mean(list(means(results, "accuracy-ours", "ours-fine", "iou").values()))
    assert ours["IoU %"] == f"{mean:.1f}" and ours["s per patient"] == "2.9"


def test_summary_is_sorted_and_has_at_most_five_points(report: Path) -> None:
    text = section((report / "report.md").read_text("utf-8"), "Summary")
    each = [float(row["IoU %"]) for row in grid(text, OVERVIEW).values()]
    assert each == sorted(each, reverse=True)
    assert sum(line.startswith("- ") for line in text.splitlines()) == 5


def test_summary_says_what_is_not_shown_and_what_costs_most(report: Path) -> None:
    text = section((report / "report.md").read_text("utf-8"), "Summary")
    not_shown = "is not shown to differ from 1 method (Affine and B-spline registration)"
    assert f"ours loses to none; {not_shown}" in text
    assert "of 726 that are gone from the CT" in text
    assert "'Voxels of 6 mm' costs most" in text


def test_where_ours_loses_the_summary_says_so(tmp_path: Path, results: Results) -> None:
    ours = [row for row in results["accuracy-ours"] if row["method"] == "ours-fine"]
    better = [
        {**r, "method": "affine", "iou": r["iou"] + 5, "awd_mm": r["awd_mm"] - 1.5} for r in ours
    ]
    write_report(
        tmp_path, {"accuracy-ours": ours, "accuracy-registration": better}, made_up_facts()
    )
    text = section((tmp_path / "report.md").read_text("utf-8"), "Summary")
    assert "In IoU and in wall distance, ours loses to 1 method (Affine registration)" in text
    row = grid(text, OVERVIEW)[TITLES["affine"]]
    assert row[INTERVAL] == "+5.0 (+5.0 to +5.0)"
    assert row["Wall distance minus ours, mm"] == "-1.50 (-1.50 to -1.50)" and "p <" in row["p"]


def test_report_of_recorded_results_is_the_same(report: Path, tmp_path: Path) -> None:
    write_measurements(tmp_path, read_results(report / "results.json"))
    names = sorted(str(p.relative_to(report)) for p in report.rglob("*") if p.is_file())
    assert names == sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.*"))
    assert all((tmp_path / name).read_bytes() == (report / name).read_bytes() for name in names)


def test_report_of_recorded_results_with_gaps_is_the_same(tmp_path: Path, results: Results) -> None:
    once, twice = tmp_path / "once", tmp_path / "twice"
    write_report(once, {"accuracy-ours": results["accuracy-ours"]}, made_up_facts())
    write_measurements(twice, read_results(once / "results.json"))
    assert all((twice / name).read_bytes() == (once / name).read_bytes() for name in FILES)


@pytest.mark.parametrize("text", ["", "[]", '{"facts": {}}', '{"facts": {}, "experiments": []}'])
def test_what_are_no_results_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.json").write_text(text, "utf-8")
    with pytest.raises(InputError, match=r"results\.json"):
        read_results(tmp_path / "results.json")


def test_status_fewshot_robustness_and_cost_tables(report: Path, results: Results) -> None:
    text = (report / "report.md").read_text("utf-8")
    gone = [r for r in results["statuses"] if r["case"] == "gone"]
    row = grid(section(text, "Honest statuses"), "What is reported").get("gone")
    assert row is not None and row["Cut away"] == "top"  # the last of the three rows of a case
    shown = re.search(r"\| gone +\| top or bottom +\| +726 \| +([\d.]+) %", text)
    assert shown and float(shown[1]) == pytest.approx(
        100 * np.mean([r["status"] == "ok" for r in gone]), abs=0.05
    )
    few = grid(section(text, "Few-shot"), "Few-shot (")
    assert list(few) == ["1", "3", "5", "10"] and all(row["Pools"] == "3" for row in few.values())
    changed = grid(section(text, "Robustness"), "Ours on changed CTs")
    assert list(changed) == [title for title, _ in CHANGES.values()]
    assert changed["Voxels of 6 mm"]["IoU minus unchanged (95 % interval)"].startswith("-6.")
    assert section(text, "Cost").count("| extent") == 6
    quoted = section(text, "The paper's figures beside ours")
    assert (
        "165 head-and-neck CTs" in quoted and "3 x 1 x 1 mm" in quoted and "MICCAI 2021" in quoted
    )
    assert re.search(r"\| Table 3 +\| Gray scale, NCC +\| +46.9, 7.35 .*\| +4547 \|", quoted)


def test_cuts_that_were_not_made_are_counted_and_left_out(tmp_path: Path, results: Results) -> None:
    some = results["statuses"][:40]
    empty = dict.fromkeys(("error_mm", "iou", "awd_mm", "spread_mm", "cycle_mm"))
    extra = [{**some[0], **empty, "case": "50", "side": "bottom", "status": "not made"}] * 7
    write_report(tmp_path, {"statuses": some + extra}, made_up_facts())
    text = section((tmp_path / "report.md").read_text("utf-8"), "Honest statuses")
    assert "after the cut: 50 % visible: 7." in text and "not made" not in text


def test_pictures_are_there_and_linked_relatively(report: Path) -> None:
    names = {f"{FIGURES}/{name}.png" for name in PICTURES}
    assert set(re.findall(r"\]\((.*?)\)", (report / "report.md").read_text("utf-8"))) == names
    assert set(re.findall(r'src="(.*?)"', (report / "report.html").read_text("utf-8"))) == names
    for name in names:
        head = (report / name).read_bytes()[:24]
        assert head[:8] == b"\x89PNG\r\n\x1a\n" and int.from_bytes(head[16:20], "big") >= 800


def test_csv_is_one_long_table(report: Path, results: Results) -> None:
    with (report / "tables.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert set(lines[0]) == {"table", "method", "reference", "organ", "metric", "value", "n"}
    assert all(None not in line and None not in line.values() for line in lines)
    assert {
        "table1",
        "table2",
        "table3",
        "times",
        "sliding",
        "statuses",
        "auroc",
        "fewshot",
        "robustness",
        "cost",
    } < {line["table"] for line in lines}
    key = {
        "table": "table3",
        "method": "affine",
        "reference": "all",
        "organ": "Mandible",
        "metric": "iou_percent",
    }
    (found,) = [line for line in lines if key.items() <= line.items()]
    expected = means(results, "accuracy-registration", "affine", "iou")["Mandible"]
    assert float(found["value"]) == pytest.approx(expected, rel=1e-5) and found["n"] == "155"
    keys = [
        tuple(line[c] for c in ("table", "method", "reference", "organ", "metric", "n"))
        for line in lines
    ]
    assert len(keys) == len(set(keys))


def test_json_holds_the_same_numbers(report: Path, results: Results) -> None:
    def refuse(text: str) -> float:
        raise AssertionError(text)

    data = json.loads((report / "results.json").read_text("utf-8"), parse_constant=refuse)
    table = {row["method"]: row for row in data["tables"]["table3"]}
    expected = means(results, "accuracy-ours", "ours-fine", "iou")
    assert table["ours-fine"]["organs"]["Brainstem"]["iou"] == pytest.approx(
        expected["Brainstem"], rel=1e-5
    )
    pairs = {(p["first_method"], p["second_method"], p["metric"]): p for p in data["pairs"]}
    assert pairs["gs-ncc", "ours-fine", "iou"]["upper"] < 0 and table["bspline"]["queries"] == 31
    assert len(data["paper"]["rows"]) == len(QUOTED) and data["facts"]["commit"] == "0123456789"
    assert len(data["statuses"]["auroc"]) == 3 and len(data["robustness"]) == len(CHANGES)


def test_no_path_of_the_machine(report: Path) -> None:
    for name in FILES:
        text = (report / name).read_text("utf-8")
        assert "/home/" not in text and "someone" not in text and str(report.parent) not in text
    assert "--data han --threads 2" in (report / "report.md").read_text("utf-8")


def test_what_was_not_run_is_named(tmp_path: Path, results: Results) -> None:
    kept = {name: results[name] for name in ("accuracy-ours", "accuracy-gray", "speed")} | {
        "cost": []
    }
    write_report(tmp_path, kept, made_up_facts())
    text = (tmp_path / "report.md").read_text("utf-8")
    missing = [name for name in EXPERIMENTS if not kept.get(name)]
    assert f"Not run: {', '.join(missing)}." in section(text, "Summary")
    assert section(text, "Table 1").strip() == "Not run: accuracy-runs."
    assert section(text, "Cost").strip() == "Not run: cost."
    assert "accuracy-detector" in section(text, "Table 3") and TITLES["gs-mse"] in section(
        text, "Table 3"
    )
    assert "Not run" not in section(text, "Table 2")
    assert {file.stem for file in (tmp_path / FIGURES).iterdir()} == {"table3", "time"}


def test_a_run_without_any_row_still_gives_a_report(tmp_path: Path) -> None:
    write_report(tmp_path, {}, {})
    text = (tmp_path / "report.md").read_text("utf-8")
    assert all(f"## {title}\n" in text for title in SECTIONS) and not list(
        (tmp_path / FIGURES).iterdir()
    )
    assert f"Not run: {', '.join(EXPERIMENTS)}." in text


def test_one_reference_and_one_patient_of_a_quick_run(tmp_path: Path, results: Results) -> None:
    few = {
        name: [
            r
            for r in rows
            if r.get("query", "test_1") == "test_1" and r.get("reference", "val_1") in ("val_1", "")
        ]
        for name, rows in results.items()
    }
    write_report(tmp_path, few, {**made_up_facts(), "quick": True})
    text = section((tmp_path / "report.md").read_text("utf-8"), "Summary")
    assert "Its figures mean nothing" in text and "(no interval)" in text and "nan" not in text


def test_unknown_variants_and_statuses_do_not_vanish(tmp_path: Path, results: Results) -> None:
    ours = [row for row in results["accuracy-ours"] if row["method"] == "ours-fine"]
    new = [{**row, "method": "newcomer"} for row in ours]
    odd = [{**row, "status": "failed"} for row in results["statuses"][:4]]
    write_report(
        tmp_path, {"accuracy-ours": ours, "accuracy-new": new, "statuses": odd}, made_up_facts()
    )
    text = (tmp_path / "report.md").read_text("utf-8")
    assert "newcomer" in grid(section(text, "Table 3"), "Table 3:")
    assert "failed" in section(text, "Honest statuses")


class Tags(HTMLParser):
    """Collects tags, and the text of paragraphs and cells."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


EVIL = '<script>alert(1)</script> | *a* & "b" _c_ [d](e) &amp; 1 < 2'


def test_html_escapes_everything() -> None:
    blocks = [Text(EVIL), Points([EVIL]), Grid(EVIL, [EVIL, "x"], [[EVIL, EVIL]])]
    parser = Tags()
    parser.feed(to_html(EVIL, [Section(EVIL, [*blocks])]))
    assert "script" not in parser.tags and parser.tags.count("td") == 2
    assert parser.text.count(EVIL) == 9


def test_markdown_takes_nothing_for_markup() -> None:
    text = to_markdown("t", [Section("s", [Grid("c", ["a", "b"], [[EVIL, "2\nlines"]])])])
    row = text.splitlines()[-1]
    assert len(re.split(r"(?<!\\)\|", row)) == 4 and "2 lines" in row
    assert (
        "\\<script>" in row
        and "\\*a\\*" in row
        and "\\[d\\](e)" in row
        and "1 < 2" in row
        and "&amp;amp;" in row
    )


def test_notes_and_titles_are_escaped_in_the_report(tmp_path: Path, results: Results) -> None:
    facts = {**made_up_facts(), "notes": [EVIL], "titles": {**TITLES, "ours-fine": EVIL}}
    write_report(tmp_path, {"accuracy-ours": results["accuracy-ours"]}, facts)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "<script" not in page and page.count("&lt;script&gt;") >= 4


def test_published_copies_the_report_and_nothing_else(tmp_path: Path, report: Path) -> None:
    source, target = tmp_path / "out", tmp_path / "docs" / "benchmark"
    (source / FIGURES).mkdir(parents=True)
    for name in FILES:
        (source / name).write_bytes((report / name).read_bytes())
    (source / FIGURES / "time.png").write_bytes(b"new")
    (source / "rows").mkdir()
    (target / FIGURES).mkdir(parents=True)
    (target / FIGURES / "fewshot.png").write_bytes(b"old")
    published(source, target)
    copied = {
        str(file.relative_to(target)).replace("\\", "/")
        for file in target.rglob("*")
        if file.is_file()
    }
    assert copied == {*FILES, f"{FIGURES}/time.png"}
    assert all((target / name).read_bytes() == (report / name).read_bytes() for name in FILES)


@pytest.mark.parametrize("positions", [[0.5] * 5, [0.98, 0.99, 1.0], [0.0, 0.01, 0.5, 0.52, 0.9]])
def test_labels_keep_their_distance(positions: list[float]) -> None:
    moved = spaced(positions, 0.06, 0.0, 1.0)
    assert (np.diff(moved) >= 0.06 - 1e-9).all() and min(moved) >= 0.0 and max(moved) <= 1.0
    assert spaced([0.9, 0.1], 0.06, 0.0, 1.0) == pytest.approx([0.9, 0.1])
    assert len(spaced([0.5] * 40, 0.06, 0.0, 1.0)) == 40


def test_papers_means_are_those_of_its_organs() -> None:
    for row in QUOTED:
        # the paper's own mean of feature map cosine, wall distance, is 1 mm off that of its organs
        distance = 1.05 if row.ours == "fm-cosine" else 0.02
        assert np.mean([iou for iou, _ in row.organs]) == pytest.approx(row.mean[0], abs=0.11)
        assert np.mean([awd for _, awd in row.organs]) == pytest.approx(row.mean[1], abs=distance)

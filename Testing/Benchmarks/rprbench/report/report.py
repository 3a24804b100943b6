"""The report of a run: Markdown, HTML, long CSV, JSON and figures, all from the same rows."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rprloc.files import atomic_write_bytes, atomic_write_text, remove_file

from ..core.store import Row
from . import export, formatting, plots, summary, tables
from .changes import changes
from .document import Block, Grid, Picture, Points, Section, Text, to_html, to_markdown
from .measurements import AS_PAPER, BASE, EXPERIMENTS, OTHERS, OWN, RUNS, Measured
from .paper_values import CITATION, REMARK
from .statistics import RESAMPLES
from .trust import CASE_TITLES

TITLE = "Benchmark of RPRLoc"
FILES = ("report.md", "report.html", "tables.csv", "results.json")
FIGURES = "figures"
PICTURES = {
    "table1": "IoU against the number of random starts; bars: SD over the references; dashed: all cells of the field.",
    "table3": "Mean and SD over the references; the strokes below are the references one by one.",
    "time": "Accuracy against time on the same patients.",
    "statuses": "What is reported, by how much of the organ is in the CT; numbers below 4 % are not written.",
    "risk-coverage": (
        "Risk when only the most trusted answers are kept. Only answers whose error is known are drawn; a present "
        "organ that is reported outside has none."
    ),
    "fewshot": "Accuracy against the number of pooled references.",
    "robustness": "What changes of the CT cost.",
    "cost-targets": "Time and memory against the number of targets.",
    "cost-volume": "Time and memory against the size of the volume.",
    "cost-queries": "Time and memory against the number of CTs.",
}


def write_report(folder: Path, results: dict[str, list[Row]], facts: dict[str, Any]) -> None:
    """Write report.md, report.html, tables.csv, results.json and figures/*.png into ``folder`` (made if need be).

    Args:
        results: experiment -> rows; "accuracy-..." (comparison.score), "speed", "sliding",
            "statuses", "robustness", "fewshot", "cost". Any may be missing or empty: the report
            says so.
        facts: command, date, machine, commit (text); references, queries (names); total_seconds;
            quick; titles (variant -> title); provenance (experiment -> list of commit, date,
            machine); notes (list of text); and if known seconds (experiment -> seconds). Absolute
            paths in them are cut to their last part.
    """
    measured = Measured(results, facts)
    (folder / FIGURES).mkdir(parents=True, exist_ok=True)
    drawn = draw(measured, folder / FIGURES)
    sections = list(make_sections(measured, drawn))
    atomic_write_text(folder / "report.md", to_markdown(TITLE, sections))
    atomic_write_text(folder / "report.html", to_html(TITLE, sections))
    atomic_write_text(folder / "tables.csv", export.to_csv(measured))
    atomic_write_text(folder / "results.json", export.to_json(measured))


def published(folder_out: Path, docs_folder: Path) -> None:
    """Copy the report, its tables and its figures (no rows) into ``docs_folder``; old figures there are removed."""
    (docs_folder / FIGURES).mkdir(parents=True, exist_ok=True)
    for name in FILES:
        atomic_write_bytes(docs_folder / name, (folder_out / name).read_bytes())
    for name in PICTURES:
        source, target = (folder / FIGURES / f"{name}.png" for folder in (folder_out, docs_folder))
        if source.exists():
            shutil.copyfile(source, target)
        else:
            remove_file(target)


def draw(measured: Measured, folder: Path) -> set[str]:
    """Draw what can be drawn; the names of the pictures. A picture of an earlier report that cannot is removed."""
    shown = measured.layout()
    timed = list(dict.fromkeys((*shown["table3"], *shown["as-in-paper"])))
    status = measured.rows("statuses")
    done = {
        "table1": plots.runs(measured, folder / "table1.png"),
        "table3": plots.methods(measured, shown["table3"], folder / "table3.png"),
        "time": plots.accuracy_and_time(measured, timed, folder / "time.png"),
        "statuses": plots.statuses(status, folder / "statuses.png"),
        "risk-coverage": plots.risk_coverage(status, folder / "risk-coverage.png"),
        "fewshot": plots.references(measured, folder / "fewshot.png"),
        "robustness": plots.robustness(changes(measured), folder / "robustness.png"),
        **{
            f"cost-{k}": plots.cost(measured.rows("cost"), k, folder / f"cost-{k}.png")
            for k in plots.SERIES
        },
    }
    for name in PICTURES:
        if not done[name]:
            remove_file(folder / f"{name}.png")
    return {name for name, there in done.items() if there}


def make_sections(measured: Measured, drawn: set[str]) -> Iterator[Section]:
    """All sections, in order; what was not run is named in its section."""
    shown = measured.layout()
    yield Section("Summary", [*_warnings(measured), Points(summary.summary(measured))])
    yield Section("How it was measured", how(measured))
    yield _section(measured, "Table 1", [RUNS], _table1(measured, drawn))
    yield _section(measured, "Table 2", [OWN], _compared(measured, "table2", TABLE2))
    yield _section(
        measured,
        "Table 3",
        [OWN, *OTHERS, "speed", "sliding"],
        _table3(measured, shown["table3"], drawn),
    )
    yield _section(measured, "The method as in the paper", [AS_PAPER], _as_in_paper(measured))
    yield _section(measured, "Honest statuses", ["statuses"], _statuses(measured, drawn))
    pooled = (
        [tables.pooled(measured), *_pictures(drawn, "fewshot")] if measured.rows("fewshot") else []
    )
    yield _section(measured, "Few-shot", ["fewshot"], pooled)
    changed = [tables.robustness(changes(measured)), *_pictures(drawn, "robustness")]
    yield _section(
        measured, "Robustness", ["robustness"], changed if measured.rows("robustness") else []
    )
    yield _section(measured, "Cost", ["cost"], _cost(measured.rows("cost"), drawn))
    yield Section(
        "The paper's figures beside ours", [Text(CITATION), Text(REMARK), tables.quoted(measured)]
    )
    yield Section("What this does not show", [Points(LIMITS)])


TABLE1 = "Table 1: points and random starts, coarse model"
TABLE2 = "Table 2: steps of the coarse model, and the fine model"
LIMITS = (
    "All patients come from one head-and-neck data set; other regions of the body were not measured.",
    "The voxels are about 4 x 4 x 2.5 mm: a wall distance of 2 mm is half a voxel. Results on finer CTs may differ.",
    "The references are few and drawn from one split. The intervals resample the patients, not the references, so they "
    "hold for these references; the spread over references is given beside them.",
    "No correction was made for the number of comparisons: of 20 intervals around a true 0, one is expected to exclude "
    "it.",
    "The contours used as truth are clinical ones; how much observers differ was not measured.",
    "Template matching, features, registration and the detector were set up here and not by their authors; other "
    "settings may do better. The supervised detector was trained on the labels of val alone.",
    "Metal, noise, missing slices and cut CTs are synthetic.",
    "Times hold for the machine named above and while nothing else ran; memory is that of the whole process.",
)


def _warnings(measured: Measured) -> list[Block]:
    blocks: list[Block] = []
    if measured.facts.get("quick"):
        blocks.append(
            Text(
                "This was a quick run, made to check that everything works. Its figures mean nothing."
            )
        )
    missing = measured.missing(EXPERIMENTS)
    if missing:
        blocks.append(Text(f"Not run: {', '.join(missing)}."))
    return blocks


def _section(
    measured: Measured, title: str, needs: Sequence[str], blocks: Sequence[Block]
) -> Section:
    missing = measured.missing(needs)
    said = [Text(f"Not run: {', '.join(missing)}.")] if missing else []
    return Section(title, [*said, *blocks])


def how(measured: Measured) -> list[Block]:
    """The run: command, machine, data, rules, and where each part was run."""
    facts = measured.facts
    run = [
        f"{name.capitalize()}: {facts.get(name, formatting.NONE)}"
        for name in ("command", "date", "machine", "commit")
    ]
    for name in ("references", "queries"):
        names = facts.get(name) or []
        run.append(f"{name.capitalize()} ({len(names)}): {', '.join(names)}")
    total = facts.get("total_seconds")
    run.append(
        f"Time of all parts: {formatting.NONE if total is None else f'{total / 60:.0f} minutes'}"
    )
    blocks: list[Block] = [Points(run), Text("Rules:"), Points(RULES)]
    if facts.get("notes"):
        blocks += [Text("Notes of this run:"), Points([str(note) for note in facts["notes"]])]
    return [*blocks, *_where(facts.get("provenance") or {}, facts.get("seconds") or {})]


def _where(provenance: dict[str, list[dict[str, str]]], seconds: dict[str, float]) -> list[Block]:
    """A row per commit, date and machine, with the parts that were run there."""
    places: dict[tuple[str, ...], list[str]] = {}
    for name, runs in provenance.items():
        minutes = f" ({seconds[name] / 60:.1f} min)" if name in seconds else ""
        for each in runs:
            key = tuple(
                str(each.get(what, formatting.NONE)) for what in ("commit", "date", "machine")
            )
            places.setdefault(key, []).append(name + minutes)
    columns = ["Commit", "Date", "Machine", "Parts (time of all their runs)"]
    rows = [[*place, ", ".join(parts)] for place, parts in places.items()]
    return [Grid("Where each part was run", columns, rows, left=4)] if rows else []


RULES = (
    "Every method got the same references and the same patients, and only organs that are complete in the CT. One that "
    "ran with fewer references is compared with ours on these alone.",
    "IoU is that of the boxes, in percent; wall distance is the mean over the six walls, in mm. The mean is the mean "
    "of the organs' means, as in the paper.",
    "An organ that a method does not find has IoU 0, is a failure for success at 10 mm (wall distance below 10 mm), "
    "and is left out of the wall distance; the column 'Found / asked' counts them.",
    "Spread and worst are over the references: SD (n - 1) of the references' means, and the reference of lowest IoU.",
    f"Differences are paired: per patient the mean over what both methods were asked (same reference, patient and "
    f"organ; where one needs no reference, same patient and organ), then {RESAMPLES:,} bootstrap resamples of the "
    "patients with a fixed seed. Given are the 2.5 and 97.5 percentiles and a two-sided p. As patients count alike "
    "there, whatever organs they have, differences can be off those of the tables' means by some tenths.",
)


def _pictures(drawn: set[str], *names: str) -> list[Block]:
    taken = [(name, PICTURES[name]) for name in names if name in drawn]
    return [
        Picture(f"{FIGURES}/{name}.png", caption, re.split(r"[.;,]", caption)[0])
        for name, caption in taken
    ]


def _compared(measured: Measured, table: str, caption: str) -> list[Block]:
    variants = measured.layout()[table]
    return [tables.comparison(measured, variants, caption, BASE[table])] if variants else []


def _table1(measured: Measured, drawn: set[str]) -> list[Block]:
    told = summary.points_and_starts(measured)
    table = _compared(measured, "table1", TABLE1)
    note = [Text(WEIGHTS)] if table else []
    return [*table, *note, *([Points(told)] if told else []), *_pictures(drawn, "table1")]


WEIGHTS = (
    "One step of the coarse network is not what its weights were trained for: far votes counted less in its loss, as "
    "the product votes again and again from nearer and nearer cells (Table 2). With weights trained by the paper's "
    "loss one step may do better than here."
)


def _table3(measured: Measured, variants: Sequence[str], drawn: set[str]) -> list[Block]:
    blocks: list[Block] = []
    if variants:
        blocks += [tables.table3(measured, variants), *_pictures(drawn, "table3", "time")]
        blocks.append(tables.pairs(measured, [v for v in variants if v != BASE["table3"]]))
    if measured.rows("speed"):
        blocks.append(tables.times(measured))
    if measured.rows("sliding"):
        blocks += [Text(SLIDING), tables.sliding(measured)]
    return blocks


SLIDING = (
    "Template matching gives here what the paper's sliding window of stride 2 gives, but by FFT. The plain sliding "
    "window compares window by window; its time is extrapolated from the windows timed."
)


def _as_in_paper(measured: Measured) -> list[Block]:
    variants = measured.layout()["as-in-paper"]
    blocks = _compared(
        measured, "as-in-paper", "Patches cut and run one by one, with the same weights"
    )
    compared = [v for v in variants if v != BASE["as-in-paper"]]
    return (
        [*blocks, tables.pairs(measured, compared), Points(summary.dense_field(measured))]
        if blocks
        else []
    )


def _statuses(measured: Measured, drawn: set[str]) -> list[Block]:
    rows = measured.rows("statuses")
    if not rows:
        return []
    blocks: list[Block] = [tables.statuses(rows), *_pictures(drawn, "statuses")]
    if measured.not_made:
        left_out = ", ".join(f"{CASE_TITLES[case]}: {n:,}" for case, n in measured.not_made.items())
        blocks.append(
            Text(
                f"Left out, as too little of the patient would have remained after the cut: {left_out}."
            )
        )
    return [
        *blocks,
        tables.aurocs(rows),
        Text(AUROC),
        *_pictures(drawn, "risk-coverage"),
        tables.risks(rows),
    ]


AUROC = (
    "Errors are those of the centre against that of the whole organ. An organ reported outside has been given no "
    "place, so it has no error: it is left out of AUROC and risk, and counted under 'Left out' (for a gone organ it is "
    "the right answer). A place given for a gone organ counts as wrong."
)


def _cost(rows: Sequence[Row], drawn: set[str]) -> list[Block]:
    return (
        [*_pictures(drawn, "cost-targets", "cost-volume", "cost-queries"), tables.costs(rows)]
        if rows
        else []
    )

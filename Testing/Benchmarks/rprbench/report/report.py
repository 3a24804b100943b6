"""The report of a run: Markdown, HTML, long CSV, JSON and figures, all from the same rows."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rprloc.files import atomic_write_bytes, atomic_write_text, remove_file

from ..core.store import Row
from . import export, formatting, summary, tables
from .document import Block, Grid, Picture, Points, Section, Text, to_html, to_markdown
from .figures import accuracy, changes, cost, pooling, trust
from .from_rows import RowMeasurements
from .measurements import AS_PAPER, BASE, EXPERIMENTS, OTHERS, OURS, OWN, RUNS, Measurements
from .paper_values import CITATION, REMARK
from .statistics import RESAMPLES
from .trust import CASE_TITLES, Trust

TITLE = "Benchmark of RPRLoc"
FILES = ("report.md", "report.html", "tables.csv", "results.json")
FIGURES = "figures"
PICTURES = {
    "table1": (
        "IoU against the number of random starts: mean and SD over the references; dashed: all "
        "cells of the field. The axis does not start at 0."
    ),
    "table3": "Accuracy of every method: mean and SD over the references, best IoU first.",
    "time": "Accuracy against time on the same patients. The axis of the IoU does not start at 0.",
    "statuses": "What is reported, by how much of the organ is in the CT.",
    "risk-coverage": (
        "Risk when only the most trusted answers are kept. Most of these CTs were cut on purpose: "
        "the errors are not those of usual CTs. Only answers whose error is known are drawn; a "
        "present organ that is reported outside has none."
    ),
    "fewshot": (
        "Accuracy against the number of pooled references: mean and SD over the pools. The axes "
        "do not start at 0."
    ),
    "robustness": "What changes of the CT cost: change of the IoU with its 95 % interval.",
    "cost-targets": "Time and memory against the number of targets.",
    "cost-volume": "Time and memory against the size of the volume.",
    "cost-queries": "Time and memory against the number of CTs.",
}


def write_report(folder: Path, results: dict[str, list[Row]], facts: dict[str, Any]) -> None:
    """Write report.md, report.html, tables.csv, results.json and figures/*.png into ``folder``.

    Args:
        folder: made if need be.
        results: experiment -> rows; "accuracy-..." (comparison.score), "speed", "sliding",
            "statuses", "robustness", "fewshot", "cost". Any may be missing or empty: the report
            says so.
        facts: command, date, machine, commit (text); references, queries (names); total_seconds;
            quick; titles (variant -> title); provenance (experiment -> list of commit, date,
            machine); notes (list of text); and if known seconds (experiment -> seconds). Absolute
            paths in them are cut to their last part.
    """
    write_measurements(folder, RowMeasurements(results, facts))


def write_measurements(folder: Path, measurements: Measurements) -> None:
    """Write the report of measurements that were computed or read; see ``write_report``."""
    (folder / FIGURES).mkdir(parents=True, exist_ok=True)
    drawn = draw(measurements, folder / FIGURES)
    sections = list(make_sections(measurements, drawn))

    atomic_write_text(folder / "report.md", to_markdown(TITLE, sections))
    atomic_write_text(folder / "report.html", to_html(TITLE, sections))
    atomic_write_text(folder / "tables.csv", export.to_csv(measurements))
    atomic_write_text(folder / "results.json", export.to_json(measurements))


def published(folder_out: Path, docs_folder: Path) -> None:
    """Copy the report, its tables and its figures (no rows) into ``docs_folder``.

    Old figures there are removed.
    """
    (docs_folder / FIGURES).mkdir(parents=True, exist_ok=True)
    for name in FILES:
        atomic_write_bytes(docs_folder / name, (folder_out / name).read_bytes())
    for name in PICTURES:
        source, target = (folder / FIGURES / f"{name}.png" for folder in (folder_out, docs_folder))
        if source.exists():
            shutil.copyfile(source, target)
        else:
            remove_file(target)


def draw(measurements: Measurements, folder: Path) -> set[str]:
    """Draw what can be drawn, and return the names of the pictures.

    A picture of an earlier report that cannot be drawn is removed.
    """
    layout = measurements.layout()
    timed = list(dict.fromkeys((*layout["table3"], *layout["as-in-paper"])))
    figures, work = measurements.trust, measurements.series("cost")
    done = {
        "table1": accuracy.draw_starts(measurements, folder / "table1.png"),
        "table3": accuracy.draw_methods(measurements, layout["table3"], folder / "table3.png"),
        "time": accuracy.draw_time(measurements, timed, folder / "time.png"),
        "statuses": trust.draw_statuses(figures, folder / "statuses.png"),
        "risk-coverage": trust.draw_risk(figures, folder / "risk-coverage.png"),
        "fewshot": pooling.draw_pools(measurements.pools(), folder / "fewshot.png"),
        "robustness": changes.draw_changes(measurements.changes(), folder / "robustness.png"),
        **{f"cost-{k}": cost.draw_cost(work, k, folder / f"cost-{k}.png") for k in cost.SERIES},
    }

    for name in PICTURES:
        if not done[name]:
            remove_file(folder / f"{name}.png")

    return {name for name, was_drawn in done.items() if was_drawn}


def make_sections(measurements: Measurements, drawn: set[str]) -> Iterator[Section]:
    """Yield all sections, in order; what was not run is named in its section."""
    table3 = measurements.layout()["table3"]
    yield Section("Summary", _summary(measurements))
    yield Section("How it was measured", how(measurements))

    parts: list[tuple[str, Sequence[str], Sequence[Block]]] = [
        ("Table 1", [RUNS], _table1(measurements, drawn)),
        ("Table 2", [OWN], _compared(measurements, "table2", TABLE2)),
        ("Table 3", [OWN, *OTHERS, "speed", "sliding"], _table3(measurements, table3, drawn)),
        ("The method as in the paper", [AS_PAPER], _as_in_paper(measurements)),
        ("Honest statuses", ["statuses"], _statuses(measurements.trust, drawn)),
        ("Few-shot", ["fewshot"], _pooling(measurements, drawn)),
        ("Robustness", ["robustness"], _robustness(measurements, drawn)),
        ("Cost", ["cost"], _cost(measurements.series("cost"), drawn)),
    ]
    for title, needs, blocks in parts:
        yield Section(title, [*_not_run(measurements, needs), *blocks])

    quoted: list[Block] = [Text(CITATION), Text(REMARK), tables.quoted(measurements)]
    yield Section("The paper's figures beside ours", quoted)
    yield Section("What this does not show", [Points(LIMITS)])


TABLE1 = "Table 1: points and random starts, coarse model"
TABLE2 = "Table 2: steps of the coarse model, and the fine model"
LIMITS = (
    "All patients come from one head-and-neck data set; other regions of the body were not "
    "measured.",
    "The voxels are about 4 x 4 x 2.5 mm: a wall distance of 2 mm is half a voxel. Results on "
    "finer CTs may differ.",
    "The references are few and drawn from one split. The intervals resample the patients, not "
    "the references, so they hold for these references; the spread over references is given "
    "beside them.",
    "No correction was made for the number of comparisons: of 20 intervals around a true 0, one "
    "is expected to exclude it.",
    "The contours used as truth are clinical ones; how much observers differ was not measured.",
    "Template matching, features, registration and the detector were set up here and not by "
    "their authors; other settings may do better. The supervised detector was trained on the "
    "labels of val alone.",
    "Metal, noise, missing slices and cut CTs are synthetic.",
    "Times hold for the machine named above and while nothing else ran; memory is that of the "
    "whole process.",
)


def _summary(measurements: Measurements) -> list[Block]:
    blocks: list[Block] = []
    if measurements.facts.get("quick"):
        blocks.append(Text(QUICK))
    blocks += _not_run(measurements, EXPERIMENTS)
    if measurements.has(OURS):
        blocks.append(tables.overview(measurements))
    return [*blocks, Points(summary.summary(measurements))]


QUICK = "This was a quick run, made to check that everything works. Its figures mean nothing."


def _not_run(measurements: Measurements, experiments: Sequence[str]) -> list[Block]:
    missing = measurements.missing(experiments)
    return [Text(f"Not run: {', '.join(missing)}.")] if missing else []


def how(measurements: Measurements) -> list[Block]:
    """The run: command, machine, data, rules, and where each part was run."""
    facts = measurements.facts
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
    "Every method got the same references and the same patients, and only organs that are "
    "complete in the CT. One that ran with fewer references is compared with ours on these alone.",
    "IoU is that of the boxes, in percent; wall distance is the mean over the six walls, in mm. "
    "The mean is the mean of the organs' means, as in the paper.",
    "An organ that a method does not find has IoU 0, is a failure for success at 10 mm (wall "
    "distance below 10 mm), and is left out of the wall distance; the column 'Found / asked' "
    "counts them.",
    "Spread and worst are over the references: SD (n - 1) of the references' means, and the "
    "reference of lowest IoU.",
    "Differences are paired: per patient the mean over what both methods were asked (same "
    "reference, patient and organ; where one needs no reference, same patient and organ), then "
    f"{RESAMPLES:,} bootstrap resamples of the patients with a fixed seed. Given are the 2.5 and "
    "97.5 percentiles and a two-sided p. As patients count alike there, whatever organs they "
    "have, differences can be off those of the tables' means by some tenths.",
)


def _pictures(drawn: set[str], *names: str) -> list[Block]:
    taken = [(name, PICTURES[name]) for name in names if name in drawn]
    return [
        Picture(f"{FIGURES}/{name}.png", caption, re.split(r"[.:;,]", caption)[0])
        for name, caption in taken
    ]


def _compared(measurements: Measurements, table: str, caption: str) -> list[Block]:
    variants = measurements.layout()[table]
    return [tables.comparison(measurements, variants, caption, BASE[table])] if variants else []


def _table1(measurements: Measurements, drawn: set[str]) -> list[Block]:
    told = summary.points_and_starts(measurements)
    table = _compared(measurements, "table1", TABLE1)
    note = [Text(WEIGHTS)] if table else []
    return [*table, *note, *([Points(told)] if told else []), *_pictures(drawn, "table1")]


WEIGHTS = (
    "One step of the coarse network is not what its weights were trained for: far votes counted "
    "less in its loss, as the product votes again and again from nearer and nearer cells (Table "
    "2). With weights trained by the paper's loss one step may do better than here."
)


def _table3(measurements: Measurements, variants: Sequence[str], drawn: set[str]) -> list[Block]:
    blocks: list[Block] = []
    if variants:
        blocks += [tables.table3(measurements, variants), *_pictures(drawn, "table3", "time")]
        blocks.append(tables.pairs(measurements, [v for v in variants if v != BASE["table3"]]))
    if measurements.series("speed"):
        blocks.append(tables.times(measurements))
    if measurements.series("sliding"):
        blocks += [Text(SLIDING), tables.sliding(measurements)]
    return blocks


SLIDING = (
    "Template matching gives here what the paper's sliding window of stride 2 gives, but by FFT. "
    "The plain sliding window compares window by window; its time is extrapolated from the "
    "windows timed."
)


def _as_in_paper(measurements: Measurements) -> list[Block]:
    variants = measurements.layout()["as-in-paper"]
    blocks = _compared(
        measurements, "as-in-paper", "Patches cut and run one by one, with the same weights"
    )
    compared = [v for v in variants if v != BASE["as-in-paper"]]
    return (
        [*blocks, tables.pairs(measurements, compared), Points(summary.dense_field(measurements))]
        if blocks
        else []
    )


def _statuses(figures: Trust | None, drawn: set[str]) -> list[Block]:
    if figures is None:
        return []
    blocks: list[Block] = [tables.statuses(figures), *_pictures(drawn, "statuses")]
    if figures.not_made:
        counts = ", ".join(f"{CASE_TITLES[case]}: {n:,}" for case, n in figures.not_made.items())
        reason = "Left out, as too little of the patient would have remained after the cut"
        blocks.append(Text(f"{reason}: {counts}."))
    blocks += [tables.aurocs(figures), Text(AUROC), *_pictures(drawn, "risk-coverage")]
    return [*blocks, tables.risks(figures)]


AUROC = (
    "Errors are those of the centre against that of the whole organ. An organ reported outside "
    "has been given no place, so it has no error: it is left out of AUROC and risk, and counted "
    "under 'Left out' (for a gone organ it is the right answer). A place given for a gone organ "
    "counts as wrong."
)


def _pooling(measurements: Measurements, drawn: set[str]) -> list[Block]:
    if not measurements.pools():
        return []
    return [tables.pooled(measurements), *_pictures(drawn, "fewshot")]


def _robustness(measurements: Measurements, drawn: set[str]) -> list[Block]:
    compared = measurements.changes()
    if not compared:
        return []
    return [tables.robustness(compared), *_pictures(drawn, "robustness")]


def _cost(rows: Sequence[Row], drawn: set[str]) -> list[Block]:
    if not rows:
        return []
    return [*_pictures(drawn, "cost-targets", "cost-volume", "cost-queries"), tables.costs(rows)]

"""Made-up rows of every experiment of the benchmark, with the sizes and errors of real ones.

Nothing is measured.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Row = dict[str, Any]
Results = dict[str, list[Row]]

ORGANS = ("Brainstem", "Mandible", "LeftParotid", "RightParotid")
REFERENCES = tuple(f"val_{n}" for n in range(1, 6))
QUERIES = tuple(f"test_{n}" for n in range(1, 32))
ORGAN_IOU = dict(zip(ORGANS, (4.0, 12.0, -7.0, -9.0), strict=True))

# experiment -> variant -> (title, mean IoU, seconds per patient, megabytes)
VARIANTS: dict[str, dict[str, tuple[str, float, float, float]]] = {
    "accuracy-ours": {
        "ours-coarse": ("Coarse, one step", 52.0, 0.9, 800),
        "ours-coarse2": ("Coarse, two steps", 53.0, 0.9, 800),
        "ours-coarse3": ("Coarse, three steps", 53.1, 0.91, 800),
        "ours-fine": ("RPRLoc, coarse and fine", 63.0, 2.9, 1400),
    },
    "accuracy-runs": {
        **{
            f"coarse-k{k}": (f"Extreme points, K = {k}", iou, 1.0, 800)
            for k, iou in ((1, 41), (5, 47), (10, 49), (15, 49.5), (20, 50))
        },
        "coarse-all": ("Extreme points, all cells", 52.0, 1.0, 800),
        "diagonal-k1": ("Diagonal points, K = 1", 30.0, 1.0, 800),
        "diagonal-k15": ("Diagonal points, K = 15", 38.0, 1.0, 800),
        "diagonal-all": ("Diagonal points, all cells", 41.0, 1.0, 800),
    },
    "accuracy-paper": {
        "paper-positions": ("As in the paper, K = 15, mean of positions", 56.0, 21.0, 900),
        "paper-latent": ("As in the paper, K = 15, mean in latent space", 56.5, 21.0, 900),
    },
    "accuracy-gray": {
        "gs-mse": ("Gray values, MSE", 45.0, 14.0, 700),
        "gs-cosine": ("Gray values, cosine", 44.0, 14.0, 700),
        "gs-ncc": ("Gray values, NCC", 38.0, 15.0, 700),
    },
    "accuracy-feature": {
        "fm-mse": ("Auto-encoder features, MSE", 47.0, 33.0, 1600),
        "fm-cosine": ("Auto-encoder features, cosine", 49.0, 33.0, 1600),
    },
    "accuracy-registration": {
        "affine": ("Affine registration", 52.0, 4.0, 450),
        "bspline": ("Affine and B-spline registration", 64.0, 41.0, 600),
    },
    "accuracy-proportional": {
        "proportional": ("Proportional mapping of the body's box", 27.0, 0.05, 300)
    },
    "accuracy-detector": {
        "detector": ("RetinaNet (MONAI), SUPERVISED on 21 val patients", 48.0, 3.3, 1200)
    },
}
TITLES = {variant: facts[0] for each in VARIANTS.values() for variant, facts in each.items()}
CHANGES = {
    "flip": ("Axes flipped by 90 degrees", 0.0),
    "spacing-1.5": ("Voxels of 1.5 mm", -0.4),
    "spacing-6": ("Voxels of 6 mm", -6.0),
    "noise": ("Noise of 60 HU", -1.4),
    "missing": ("Every third slice missing", -2.0),
    "metal": ("Metal streaks (synthetic)", -3.1),
    "plus-50": ("+50 HU", -0.7),
    "minus-50": ("-50 HU", 0.3),
}


def comparison_row(
    method: str, reference: str, query: str, organ: str, iou: float, awd: float | None
) -> Row:
    """A row as ``comparison.score`` makes it."""
    return {
        "method": method,
        "reference": reference,
        "query": query,
        "organ": organ,
        "iou": iou,
        "awd_mm": awd,
        "box": None if awd is None else [0.0, 0.0, 0.0, 10.0, 10.0, 10.0],
        "status": "ok",
        "spread_mm": 4.0,
        "cycle_mm": 5.0,
    }


def organs_of(query: str) -> tuple[str, ...]:
    """Some patients lack an organ."""
    return ORGANS[:3] if query.endswith("7") else ORGANS


def method_rows(
    rng: np.random.Generator, method: str, iou: float, references: tuple[str, ...]
) -> list[Row]:
    """All references and queries of one variant; a weak one misses an organ now and then."""
    rows = []
    for reference in references:
        level = iou + rng.normal(0, 2.5)
        for query in QUERIES:
            for organ in organs_of(query):
                value = float(np.clip(level + ORGAN_IOU[organ] + rng.normal(0, 9), 0, 95))
                awd = (
                    None
                    if iou < 50 and rng.random() < 0.01
                    else round(16 * (1 - value / 100) + rng.random(), 3)
                )
                rows.append(
                    comparison_row(
                        method, reference, query, organ, 0.0 if awd is None else value, awd
                    )
                )
    return rows


def status_rows(rng: np.random.Generator) -> list[Row]:
    """Whole, cut and gone organs; doubt grows with the error."""
    rows = []
    for query in QUERIES:
        for case, error in (
            ("whole", 6.0),
            ("75", 8.0),
            ("50", 12.0),
            ("25", 19.0),
            ("gone", 45.0),
        ):
            for side in ("bottom", "top") if case != "whole" else ("",):
                for reference in REFERENCES[:3]:
                    rows += [
                        _status_row(rng, case, side, reference, query, o, error)
                        for o in organs_of(query)
                    ]
    return rows


def _status_row(
    rng: np.random.Generator,
    case: str,
    side: str,
    reference: str,
    query: str,
    organ: str,
    error: float,
) -> Row:
    off = float(rng.gamma(4.0, error / 4.0))
    spread, cycle = off * 0.4 + rng.gamma(2.0, 1.5), off * 0.5 + rng.gamma(2.0, 2.0)
    status = "outside" if off > 34 else "low-confidence" if max(spread, cycle) > 14 else "ok"
    unknown = case == "gone" or status == "outside"
    return {
        "case": case,
        "side": side,
        "reference": reference,
        "query": query,
        "organ": organ,
        "status": status,
        "reason": "",
        "error_mm": None if unknown else off,
        "iou": None if case == "gone" else max(0.0, 70 - 2 * off),
        "awd_mm": None if unknown else off / 2,
        "spread_mm": spread,
        "cycle_mm": cycle,
    }


def robustness_rows(rng: np.random.Generator, plain: list[Row]) -> list[Row]:
    """Changes of the rows of the first two references of ours."""
    rows = []
    for change, (title, loss) in CHANGES.items():
        for row in plain:
            if row["reference"] in REFERENCES[:2]:
                iou = float(np.clip(row["iou"] + loss + rng.normal(0, 1.5), 0, 100))
                rows.append(
                    {
                        "change": change,
                        "title": title,
                        **{key: row[key] for key in ("reference", "query", "organ")},
                        "iou": iou,
                        "awd_mm": 16 * (1 - iou / 100),
                        "shift_mm": abs(loss) + float(rng.random()),
                        "status": "ok",
                    }
                )
    return rows


def fewshot_rows(rng: np.random.Generator) -> list[Row]:
    """1, 3, 5 and 10 references, three pools each."""
    rows = []
    for n, iou in ((1, 62.0), (3, 66.0), (5, 67.5), (10, 68.5)):
        for pool in range(3):
            part = method_rows(rng, f"ours-{n}", iou, (f"pool {pool}",))
            rows += [{**row, "references": n, "pool": pool} for row in part]
    return rows


def cost_rows() -> list[Row]:
    """Series with plausible shapes."""
    rows = [
        {"series": "targets", "n": n, "seconds": 2.5 + 0.004 * n, "peak_mb": 1300 + n}
        for n in (1, 5, 20, 100, 200)
    ]
    for n in (64, 128, 192, 256, 384, 512):
        rows.append(
            {
                "series": "spacing",
                "n": n,
                "seconds": 2.4 + 4e-8 * n**3,
                "peak_mb": 1300 + 8e-6 * n**3,
            }
        )
        rows.append(
            {
                "series": "extent",
                "n": n,
                "seconds": 0.6 + 5e-7 * n**3,
                "peak_mb": 900 + 3.2e-5 * n**3,
            }
        )
    return rows + [
        {"series": "queries", "n": n, "seconds": 2.8 * n, "peak_mb": 1500 + n}
        for n in (1, 5, 20, 50, 100)
    ]


def made_up_results(seed: int = 0) -> Results:
    """Rows of all experiments."""
    rng = np.random.default_rng(seed)
    results: Results = {}
    for experiment, variants in VARIANTS.items():
        results[experiment] = []
        for variant, (_, iou, _, _) in variants.items():
            used = (
                REFERENCES[:2]
                if variant == "bspline"
                else ("",)
                if variant == "detector"
                else REFERENCES
            )
            results[experiment] += method_rows(rng, variant, iou, used)
    plain = [row for row in results["accuracy-ours"] if row["method"] == "ours-fine"]
    return results | {
        "speed": speed_rows(),
        "sliding": [
            {
                "method": v,
                "windows": 600000,
                "sampled": 400,
                "seconds_organ": 900.0,
                "seconds_patient": 3600.0,
            }
            for v in ("gs-mse", "gs-cosine", "gs-ncc")
        ],
        "statuses": status_rows(rng),
        "robustness": robustness_rows(rng, plain),
        "fewshot": fewshot_rows(rng),
        "cost": cost_rows(),
    }


def speed_rows() -> list[Row]:
    """Times of all variants but the runs of Table 1."""
    return [
        {
            "method": variant,
            "title": title,
            "seconds_patient": seconds,
            "seconds_organ": 0.6 * seconds,
            "seconds_reference": 0.8 * seconds,
            "peak_mb": peak,
            "queries": 4,
            "threads": 2,
            "device": "cpu",
        }
        for experiment, variants in VARIANTS.items()
        if experiment != "accuracy-runs"
        for variant, (title, _, seconds, peak) in variants.items()
    ]


def made_up_facts() -> dict[str, Any]:
    """Facts of a run, with a path of a machine in the command."""
    where = {
        "commit": "0123456789",
        "date": "2026-01-02",
        "machine": "Some CPU, 2 cores; Python 3.11, torch 2.13",
    }
    return {
        "command": "python3 Testing/Benchmarks/benchmark.py --data /home/someone/data/han "
        "--threads 2",
        **where,
        "date": "2026-01-02T10:00:00+00:00",
        "references": list(REFERENCES),
        "queries": list(QUERIES),
        "total_seconds": 6543.0,
        "seconds": {"accuracy-ours": 300.0, "accuracy-registration": 2400.0},
        "quick": False,
        "titles": TITLES,
        "provenance": {name: [where] for name in VARIANTS},
        "notes": ["B-spline registration ran with 2 references."],
    }

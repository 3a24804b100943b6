from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from support.benchmark_rows import ORGANS, comparison_row

pytest.importorskip(
    "sklearn", reason="the benchmark's statistics need scikit-learn (pip install .[bench])"
)

from sklearn.metrics import roc_auc_score

from rprbench.report import trust
from rprbench.report.formatting import difference, signed, significant, without_paths
from rprbench.report.statistics import (
    RESAMPLES,
    interval_of_mean,
    paired,
    resampled,
    score,
    share_with_interval,
    summarize,
)

Row = dict[str, Any]


def rows_of(
    values: dict[tuple[str, str, str], tuple[float, float | None]], method: str = "m"
) -> list[Row]:
    """(reference, query, organ) -> (iou, awd)."""
    return [comparison_row(method, *key, iou, awd) for key, (iou, awd) in values.items()]


def test_mean_is_the_mean_of_the_organs_and_not_of_the_rows() -> None:
    found = summarize(
        "m",
        rows_of(
            {
                ("r1", "q1", "Brainstem"): (40.0, 4.0),
                ("r1", "q2", "Brainstem"): (60.0, 6.0),
                ("r1", "q3", "Brainstem"): (80.0, 8.0),
                ("r1", "q1", "Mandible"): (20.0, 12.0),
            }
        ),
    )
    assert found.organs["Brainstem"].iou == pytest.approx(60.0) and found.organs[
        "Mandible"
    ].iou == pytest.approx(20.0)
    assert found.mean.iou == pytest.approx(40.0) and found.mean.awd_mm == pytest.approx(9.0)
    assert found.mean.success == pytest.approx(3 / 4) and found.queries == 3
    assert found.spread("iou") is None and found.worst() is None


def test_spread_and_worst_reference() -> None:
    found = summarize(
        "m",
        rows_of(
            {
                ("r1", "q1", "Brainstem"): (50.0, 5.0),
                ("r1", "q1", "Mandible"): (70.0, 3.0),
                ("r2", "q1", "Brainstem"): (30.0, 9.0),
                ("r2", "q1", "Mandible"): (50.0, 7.0),
            }
        ),
    )
    worst = found.worst()
    assert worst is not None and worst[0] == "r2"
    assert worst[1].iou == pytest.approx(40.0) and worst[1].awd_mm == pytest.approx(8.0)
    assert found.spread("iou") == pytest.approx(np.sqrt(200.0))  # 60 and 40, n - 1
    assert found.spread("awd_mm") == pytest.approx(np.sqrt(8.0))


def test_what_is_not_found_is_a_failure_and_has_no_wall_distance() -> None:
    found = score(
        rows_of(
            {
                ("r", "q1", "Mandible"): (80.0, 2.0),
                ("r", "q2", "Mandible"): (0.0, None),
                ("r", "q3", "Mandible"): (10.0, 10.0),  # success is below 10 mm
            }
        )
    )
    assert found.iou == pytest.approx(30.0) and found.awd_mm == pytest.approx(6.0)
    assert found.success == pytest.approx(1 / 3) and (found.found, found.asked) == (2, 3)


def test_nothing_found_at_all_has_no_mean_distance() -> None:
    found = summarize("m", rows_of({("r", "q", "Mandible"): (0.0, None)}))
    assert (
        found.mean.awd_mm is None and found.mean.success == 0.0 and found.spread("awd_mm") is None
    )


def grid_of(
    queries: int,
    offset: float,
    seed: int = 0,
    noise: float = 0.0,
    references: tuple[str, ...] = ("r1", "r2"),
) -> list[Row]:
    base, extra = np.random.default_rng(1), np.random.default_rng(seed)
    values: dict[tuple[str, str, str], tuple[float, float | None]] = {}
    for query, organ in itertools.product(range(queries), ORGANS):
        iou = float(base.uniform(30, 70))
        for reference in references:
            values[(reference, f"q{query}", organ)] = (
                iou + offset + float(extra.normal(0, noise)),
                5.0 - offset / 10,
            )
    return rows_of(values)


def test_constant_difference_has_an_interval_without_width() -> None:
    found = paired(grid_of(12, 3.0), grid_of(12, 0.0), "iou")
    assert (
        found is not None
        and found.lower is not None
        and found.upper is not None
        and found.p is not None
    )
    assert found.difference == pytest.approx(3.0)
    assert found.upper - found.lower == pytest.approx(
        0.0, abs=1e-9
    ) and found.lower == pytest.approx(3.0)
    assert (
        found.p == pytest.approx(2 / (RESAMPLES + 1))
        and found.patients == 12
        and found.keys == 12 * 2 * 4
    )


def test_identical_methods_have_p_of_one() -> None:
    found = paired(grid_of(9, 0.0), grid_of(9, 0.0), "iou")
    assert (
        found is not None
        and found.difference == 0.0
        and found.p == 1.0
        and found.lower == found.upper == 0.0
    )


def test_turned_around_the_sign_turns_and_p_stays() -> None:
    first, second = grid_of(15, 1.0, seed=5, noise=8), grid_of(15, 0.0, seed=6, noise=8)
    ahead, back = paired(first, second, "iou"), paired(second, first, "iou")
    assert (
        ahead is not None
        and back is not None
        and ahead.lower is not None
        and back.upper is not None
    )
    assert ahead.difference == pytest.approx(-back.difference) and ahead.lower == pytest.approx(
        -back.upper
    )
    assert ahead.p == back.p and 0.0 < ahead.p < 1.0


def test_more_patients_narrow_the_interval() -> None:
    widths = []
    for queries in (8, 32, 128):
        found = paired(
            grid_of(queries, 1.0, seed=2, noise=10), grid_of(queries, 0.0, seed=3, noise=10), "iou"
        )
        assert found is not None and found.upper is not None and found.lower is not None
        widths.append(found.upper - found.lower)
    assert widths[0] > 1.4 * widths[1] > 1.4 * 1.4 * widths[2]


def test_interval_agrees_with_a_plain_bootstrap_and_with_theory() -> None:
    values = np.random.default_rng(4).normal(1.0, 2.0, 40)
    lower, upper, p = interval_of_mean(values)
    plain = np.random.default_rng(8)
    means = np.array([values[plain.integers(0, 40, 40)].mean() for _ in range(RESAMPLES)])
    assert lower is not None and upper is not None and p is not None
    assert [lower, upper] == pytest.approx(list(np.percentile(means, [2.5, 97.5])), abs=0.03)
    expected = 2 * min((means <= 0).mean(), (means >= 0).mean())
    assert p == pytest.approx(expected, abs=0.003)
    assert upper - lower == pytest.approx(2 * 1.96 * values.std() / np.sqrt(40), rel=0.05)


def test_resamples_draw_as_many_as_there_are() -> None:
    drawn = resampled(7)
    assert drawn.shape == (RESAMPLES, 7) and (drawn.sum(axis=1) == 7).all()
    assert drawn.mean() == pytest.approx(1.0) and drawn.var() == pytest.approx(6 / 7, rel=0.05)


def test_the_patient_is_the_unit_and_only_common_answers_count() -> None:
    first = rows_of(
        {
            ("r1", "q1", "Brainstem"): (50.0, 5.0),
            ("r1", "q1", "Mandible"): (70.0, None),
            ("r1", "q2", "Brainstem"): (40.0, 6.0),
            ("r2", "q2", "Brainstem"): (0.0, 60.0),  # the second method never ran with r2
        }
    )
    second = rows_of(
        {
            ("r1", "q1", "Brainstem"): (40.0, 6.0),
            ("r1", "q1", "Mandible"): (40.0, 9.0),
            ("r1", "q2", "Brainstem"): (44.0, 6.5),
            ("r1", "q3", "Brainstem"): (99.0, 0.1),  # nor the first on q3
        }
    )
    iou, awd = paired(first, second, "iou"), paired(first, second, "awd_mm")
    assert iou is not None and awd is not None
    # q1: (10 + 30) / 2 = 20, q2: -4
    assert iou.difference == pytest.approx(8.0) and (iou.patients, iou.keys) == (2, 3)
    assert (iou.first, iou.second) == (pytest.approx(50.0), pytest.approx(42.0))
    assert awd.difference == pytest.approx((-1.0 - 0.5) / 2) and awd.keys == 2


def test_a_method_without_references_meets_the_mean_over_references() -> None:
    ours = rows_of({("r1", "q1", "Mandible"): (50.0, 5.0), ("r2", "q1", "Mandible"): (70.0, 3.0)})
    other = rows_of({("", "q1", "Mandible"): (45.0, 6.0)})
    found = paired(ours, other, "iou")
    assert found is not None and found.difference == pytest.approx(15.0) and found.keys == 1
    assert found.lower is None and found.p is None  # one patient has no interval


def test_nothing_in_common_is_no_comparison() -> None:
    one, other = (
        rows_of({("r", "q1", "Mandible"): (1.0, 1.0)}),
        rows_of({("r", "q2", "Mandible"): (1.0, 1.0)}),
    )
    assert paired(one, other, "iou") is None


def status_row(
    query: str, error: float | None, doubt: float | None, case: str = "whole", status: str = "ok"
) -> Row:
    return {
        "case": case,
        "side": "",
        "reference": "r",
        "query": query,
        "organ": "Mandible",
        "status": status,
        "reason": "",
        "error_mm": error,
        "iou": 50.0,
        "awd_mm": 5.0,
        "spread_mm": doubt,
        "cycle_mm": doubt,
    }


def test_auroc_of_a_perfect_score_is_one_and_reversed_zero() -> None:
    rows = [status_row(f"q{n % 5}", float(n), float(n)) for n in range(40)]
    found = trust.auroc(rows, "spread_mm")
    assert (found.value, found.lower, found.upper) == (1.0, 1.0, 1.0) and (
        found.n,
        found.wrong,
    ) == (40, 19)
    turned = [{**row, "spread_mm": -row["spread_mm"]} for row in rows]
    assert trust.auroc(turned, "spread_mm").value == 0.0


def test_auroc_of_a_random_score_is_half_and_its_interval_holds_it() -> None:
    rng = np.random.default_rng(3)
    rows = [
        status_row(f"q{n % 40}", float(rng.uniform(0, 40)), float(rng.random()))
        for n in range(1200)
    ]
    found = trust.auroc(rows, "spread_mm")
    assert (
        found.value == pytest.approx(0.5, abs=0.04)
        and found.lower is not None
        and found.upper is not None
    )
    assert found.lower < 0.5 < found.upper and found.upper - found.lower < 0.15


def test_interval_of_the_auroc_agrees_with_resampling_the_rows() -> None:
    rng = np.random.default_rng(9)
    rows = []
    for n in range(120):
        error = float(rng.uniform(0, 40))
        rows.append(status_row(f"q{n % 12}", error, float(round(error + rng.normal(0, 15)))))
    found = trust.auroc(rows, "spread_mm")
    groups = [[r for r in rows if r["query"] == f"q{q}"] for q in range(12)]
    plain, values = np.random.default_rng(5), []
    for _ in range(800):
        part = [row for q in plain.integers(0, 12, 12) for row in groups[q]]
        values.append(
            roc_auc_score([r["error_mm"] > 20 for r in part], [r["spread_mm"] for r in part])
        )
    assert [found.lower, found.upper] == pytest.approx(
        list(np.percentile(values, [2.5, 97.5])), abs=0.01
    )


def test_auroc_counts_what_it_leaves_out_and_gone_organs_as_wrong() -> None:
    rows = [
        status_row("q1", 5.0, 1.0),
        status_row("q2", None, 9.0, status="outside"),
        status_row("q1", 30.0, None),
    ]
    alone = trust.auroc(rows, "spread_mm")
    assert alone.value is None and (alone.n, alone.wrong, alone.unscored) == (1, 0, 2)
    gone = trust.auroc([*rows, status_row("q3", None, 8.0, case="gone")], "spread_mm")
    assert gone.value == 1.0 and (gone.n, gone.wrong, gone.unscored) == (2, 1, 2)
    refused = trust.auroc(
        [*rows, status_row("q3", None, 8.0, case="gone", status="outside")], "spread_mm"
    )
    assert refused.value is None and (refused.n, refused.unscored) == (1, 3)


def test_risk_rises_with_coverage_for_a_perfect_score_and_ends_at_the_mean() -> None:
    losses = np.random.default_rng(0).gamma(2.0, 5.0, 200)
    perfect = trust.risk_coverage(losses, losses)
    assert (np.diff(perfect.risk) >= 0).all() and perfect.coverage[-1] == 1.0
    assert perfect.risk[-1] == pytest.approx(losses.mean()) and perfect.risk[0] == losses.min()
    assert perfect.at(0.5) == pytest.approx(np.sort(losses)[:100].mean())
    worst = trust.risk_coverage(-losses, losses)
    assert (np.diff(worst.risk) <= 0).all() and (worst.risk >= perfect.risk - 1e-12).all()


def test_a_score_that_says_nothing_gives_a_flat_curve() -> None:
    curve = trust.risk_coverage(np.zeros(6), np.array([0.0, 0.0, 0.0, 6.0, 6.0, 6.0]))
    assert curve.risk == pytest.approx(np.full(6, 3.0))


def test_statuses_by_case_and_side() -> None:
    rows = [
        {**status_row("q1", 30.0, 1.0, case="50"), "side": "top"},
        {**status_row("q2", 10.0, 1.0, case="50"), "side": "top"},
        {**status_row("q1", None, 1.0, case="50", status="outside"), "side": "bottom"},
        {**status_row("q2", 24.0, 1.0, case="50", status="low-confidence"), "side": "bottom"},
        {**status_row("q2", None, 1.0, case="gone"), "side": "top"},
    ]
    both, bottom, top, gone = trust.all_shares(rows)
    assert (both.case, both.side, both.n) == ("50", "", 4) and (bottom.side, top.side) == (
        "bottom",
        "top",
    )
    assert both.statuses == {"ok": 0.5, "low-confidence": 0.25, "outside": 0.25}
    assert both.wrong == pytest.approx(2 / 3) and both.ok_wrong == pytest.approx(0.5)
    assert both.error_mm == pytest.approx(64 / 3)
    assert gone.statuses["ok"] == 1.0 and gone.error_mm is None and gone.wrong is None
    point = trust.status_point(rows, ("ok",), "wrong")
    assert (
        point is not None
        and point.coverage == pytest.approx(3 / 4)
        and point.risk == pytest.approx(2 / 3)
    )


def test_share_and_its_interval() -> None:
    rows = [status_row(f"q{n}", 0.0, 0.0, status="ok" if n < 5 else "outside") for n in range(20)]
    share, lower, upper = share_with_interval(rows, lambda r: bool(r["status"] == "ok"))
    assert share == 0.25 and lower is not None and upper is not None
    assert lower == pytest.approx(0.05, abs=0.051) and upper == pytest.approx(0.45, abs=0.051)
    assert share_with_interval(rows[:1], lambda _: True) == (1.0, None, None)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1534, "0.15"),
        (0.03, "0.030"),
        (9.97, "10"),
        (1052, "1,100"),
        (14.2, "14"),
        (0.0, "0"),
        (None, "-"),
    ],
)
def test_seconds_have_two_significant_digits(value: float | None, text: str) -> None:
    assert significant(value) == text


def test_differences_carry_their_sign() -> None:
    assert (signed(-0.04, 1), signed(2.25, 1), signed(-3.0, 2)) == ("0.0", "+2.2", "-3.00")
    assert difference(paired(grid_of(6, -2.0), grid_of(6, 0.0), "iou"), 1) == "-2.0 (-2.0 to -2.0)"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("--data /home/me/data/han --threads 2", "--data han --threads 2"),
        ("--out=/tmp/x/y", "--out=y"),
        ("'C:\\Users\\me\\out' failed", "'out' failed"),
        ("~/data/han is missing", "han is missing"),
        ("python3 Testing/Benchmarks/benchmark.py", "python3 Testing/Benchmarks/benchmark.py"),
        ("24 of 31, mm/voxel, and/or", "24 of 31, mm/voxel, and/or"),
        ("see https://example.org/a/b", "see https://example.org/a/b"),
    ],
)
def test_paths_of_a_machine_are_cut(text: str, left: str) -> None:
    assert without_paths({"a": [text]}) == {"a": [left]}

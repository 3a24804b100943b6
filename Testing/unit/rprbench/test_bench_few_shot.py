"""Few-shot: which references are pooled, and the rows of a pool's merged template."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from pathlib import Path

import pytest
from support.benchmark_cohort import write_cohort

from rprbench.core.cohort import Cohort
from rprbench.core.method import Context
from rprbench.experiments.comparison import score
from rprbench.experiments.few_shot import POOLS, FewShot, pools
from rprbench.methods.ours import detection_of

NAMES = [f"r{n}" for n in range(13)]


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    folder = tmp_path_factory.mktemp("fewshot")
    return Context(Cohort(write_cohort(folder / "cohort", val=4)), folder / "out", threads=1)


def test_pools_have_their_size_differ_and_use_all_references_alike() -> None:
    found = pools(NAMES, POOLS)
    assert {size: len(drawn) for size, drawn in found.items()} == POOLS
    for size, drawn in found.items():
        assert all(len(set(pool)) == size for pool in drawn)
        assert len({frozenset(pool) for pool in drawn}) == len(drawn)
        uses = Counter(chain.from_iterable(drawn))
        assert max(uses.values()) - min(uses[name] for name in NAMES) <= 1


def test_pools_are_the_same_again_and_others_with_another_seed() -> None:
    assert pools(NAMES, POOLS) == pools(NAMES, POOLS)
    assert pools(NAMES, POOLS) != pools(NAMES, POOLS, seed=1)


def test_few_references_give_fewer_pools_and_no_larger_ones() -> None:
    found = pools(NAMES[:3], POOLS)
    assert found[3] == [("r0", "r1", "r2")]
    assert sorted(found[1]) == [("r0",), ("r1",), ("r2",)]
    assert set(found) == {1, 3}


def test_rows_are_those_of_the_merged_template(context: Context, tiny_model: Path) -> None:
    experiment = FewShot(context, ["test_0"], model=tiny_model)
    rows = experiment.run("test_0")
    # 4 references: each alone, and four different threes
    assert Counter(r["references"] for r in rows) == {1: 4 * 4, 3: 4 * 4}
    first = experiment.pools[3][1]
    query = context.cohort.patient("test_0")
    template = experiment.method.template(first[0])
    for name in first[1:]:
        template = template.merged(experiment.method.template(name))
    embedding = experiment.method.embed(query.volume)
    located = experiment.method.locator.locate(embedding, template)
    expected = [score("ours-3", "+".join(first), query, r.target, detection_of(r)) for r in located]
    expected = [{**row, "references": 3, "pool": 1} for row in expected]
    found = [r for r in rows if r["references"] == 3 and r["pool"] == 1]
    assert sorted(found, key=lambda r: r["organ"]) == sorted(expected, key=lambda r: r["organ"])


def test_a_query_is_not_sought_with_its_own_marks(context: Context, tiny_model: Path) -> None:
    rows = FewShot(context, ["val_0"], ["val_0", "val_1"], tiny_model).run("val_0")
    assert {r["reference"] for r in rows} == {"val_1"}


def test_only_complete_organs_are_sought(context: Context, tiny_model: Path) -> None:
    quick = Context(context.cohort, context.out, quick=True, threads=1)
    rows = FewShot(quick, ["test_1"], model=tiny_model).run("test_1")
    assert Counter(r["references"] for r in rows) == {1: 3, 2: 3}
    assert "Mandible" not in {r["organ"] for r in rows}

"""Presets and the plan: settings with room for the bodies, times and memory as data."""

from __future__ import annotations

import json

import pytest
from support.trainings.tiny_training import CPU, TINY, TINY_FINE

from rprloc.errors import InputError
from rprtrain.config import COARSE, StageConfig
from rprtrain.data.scan import ScanRow
from rprtrain.run.cost import data_bytes, measure_stage
from rprtrain.run.estimate import estimate_run
from rprtrain.run.presets import FROM_DATA, PRESETS, ROOM, Preset, changed, find_preset


def rows(*bodies: tuple[float, float, float], spacing: float = 2.0) -> list[ScanRow]:
    return [
        ScanRow(
            f"{n}",
            "",
            f"{n}",
            f"g{n // 2}",
            (9, 9, 9),
            (1.0, 1.0, spacing),
            (-1000, 900),
            b[2],
            b,
            True,
        )
        for n, b in enumerate(bodies)
    ]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_room_and_survive_json(name: str) -> None:
    preset = find_preset(name)
    for stage in preset.stages.values():
        assert stage.reach_mm <= 0.8 * stage.range_mm
        assert all(edge % stage.net.alignment == 0 for edge in stage.crop)
        assert max(stage.crop) * stage.spacing > stage.smallest_mm
    shown = json.loads(json.dumps(preset.to_json()))
    assert [StageConfig.from_json(s["settings"]) for s in shown["stages"]] == list(
        preset.stages.values()
    )


def test_head_and_neck_is_the_bundled_one() -> None:
    assert find_preset("head-and-neck").stages["coarse"] == COARSE


@pytest.mark.parametrize(
    "body",
    [(150.0, 190.0, 200.0), (420.0, 300.0, 500.0), (40.0, 30.0, 60.0), (500.0, 330.0, 1700.0)],
)
def test_settings_follow_from_the_bodies(body: tuple[float, float, float]) -> None:
    preset = find_preset(FROM_DATA, rows(*[body] * 5))
    coarse, fine = preset.stages["coarse"], preset.stages["fine"]
    diagonal = sum(n**2 for n in body) ** 0.5
    assert ROOM * diagonal <= coarse.range_mm <= ROOM * diagonal + 50
    assert (
        coarse.crop[2] * coarse.spacing >= min(body[0], 8 * 112)
        and coarse.crop[1] * coarse.spacing >= body[1]
    )
    assert all(edge % coarse.net.alignment == 0 for edge in coarse.crop)
    assert (
        fine.spacing <= coarse.spacing
        and fine.reach_mm <= 0.8 * fine.range_mm
        and fine.reach_mm <= 0.6 * diagonal + 1
    )
    assert coarse.smallest_mm <= min(body)
    assert f"{coarse.range_mm:.0f}" in preset.description


def test_without_usable_cts_there_is_no_proposal() -> None:
    with pytest.raises(InputError, match="no usable CT"):
        find_preset(FROM_DATA, [])
    with pytest.raises(InputError, match="abdomen"):
        find_preset("knee")


def test_a_step_is_measured() -> None:
    cost = measure_stage(TINY, CPU)
    assert cost.seconds_per_step > 0
    assert cost.step_bytes > 2 * TINY.crop[0] * TINY.crop[1] * TINY.crop[2]
    assert data_bytes(TINY, rows((300.0, 200.0, 100.0))) == 2 * 32 * 22 * 12 + 120_000


def test_a_plan_tells_time_and_memory() -> None:
    preset = Preset("tiny", "Tiny", "", "phantom", {"coarse": TINY, "fine": TINY_FINE})
    found = [*rows(*[(300.0, 200.0, 100.0)] * 4), ScanRow("x", "", "x", "x")]
    unknown = estimate_run(preset, found, CPU, minutes=2.0, measure=False)
    assert [s["seconds"] for s in unknown["stages"]] == [60.0, 60.0]
    assert estimate_run(preset, found, CPU, measure=False)["seconds"] is None
    plan = estimate_run(preset, found, CPU, steps=10)
    json.dumps([plan, unknown], allow_nan=False)
    assert (plan["training"], plan["held_out"], plan["patients"]) == (2, 2, 2)
    assert plan["seconds"] > sum(10 * s["seconds_per_step"] for s in plan["stages"]) > 0
    assert plan["memory_gb"] >= 0.6 and plan["disk_gb"] >= 0 and plan["problem"] == ""
    again = estimate_run(preset, found, CPU, steps=20, measure=False)
    assert [s["seconds_per_step"] for s in again["stages"]] == [
        s["seconds_per_step"] for s in plan["stages"]
    ]


def test_a_plan_warns() -> None:
    wide = rows(*[(700.0, 300.0, 400.0)] * 20)
    notes = estimate_run(find_preset("head-and-neck"), wide, CPU, measure=False)["notes"]
    assert len(notes) == 1 and "larger r" in notes[0]
    assert (
        "at least 2"
        in estimate_run(find_preset("head-and-neck"), wide[:1], CPU, measure=False)["problem"]
    )


def test_numbers_of_the_users_own() -> None:
    preset = changed(find_preset("head-and-neck"), {"coarse": {"range_mm": 300, "spacing": 3.5}})
    coarse = preset.stages["coarse"]
    assert (coarse.range_mm, coarse.spacing, coarse.reach_mm) == (300.0, 3.5, 240)
    assert changed(preset, None) == preset
    for wrong in (
        {"third": {}},
        {"coarse": {"name": 1}},
        {"coarse": {"spacing": -1}},
        {"coarse": 3},
        "x",
    ):
        with pytest.raises(InputError, match="cannot be changed"):
            changed(preset, wrong)

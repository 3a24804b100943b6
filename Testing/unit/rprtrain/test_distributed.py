"""Two processes that share a batch train the network that one process with it trains."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from support.paths import SUPPORT
from support.trainings.tiny_training import make_trainer, phantom_volume

from rprloc.cli.main import main
from rprloc.errors import InputError
from rprtrain import __main__ as entry
from rprtrain.distributed import ProcessGroup
from rprtrain.optimization.batch import batch_gradients

PROGRAM = SUPPORT / "trainings" / "distributed_training.py"
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
STEPS, BATCH = 4, 4
#: Offsets are differences of latents (Eq. 2): what is added to all of them has no gradient but its
#: roundings, which Adam makes steps of.
WITHOUT_GRADIENT = "project.4.bias"


def trained(folder: Path, name: str, launcher: list[str]) -> dict[str, Any]:
    out = folder / f"{name}.pt"
    done = subprocess.run(
        [sys.executable, *launcher, str(PROGRAM), str(out), str(STEPS), str(BATCH)],
        capture_output=True,
        text=True,
        timeout=120,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        },
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = torch.load(out, weights_only=True)
    return found


@pytest.mark.skipif(
    not dist.is_available() or not dist.is_gloo_available(), reason="this PyTorch has no gloo"
)
def test_two_processes_do_what_one_does(tmp_path: Path) -> None:
    alone = trained(tmp_path, "alone", [])
    together = trained(tmp_path, "together", [*TORCHRUN])
    assert together["losses"] == pytest.approx(alone["losses"], rel=2e-2)
    assert alone["losses"][0] != alone["losses"][-1]
    start = trained_start()
    for name, value in alone["net"].items():
        moved = (value.float() - start[name].float()).norm()
        apart = (value.float() - together["net"][name].float()).norm()
        assert apart <= 1e-2 * moved + 1e-5 or name == WITHOUT_GRADIENT, name


def trained_start() -> dict[str, torch.Tensor]:
    from support.trainings.tiny_training import TINY_FINE

    from rprloc.model.pnet import Pnet

    torch.manual_seed(3)
    return Pnet(TINY_FINE.net).state_dict()


def test_alone_a_team_costs_nothing() -> None:
    team, net = ProcessGroup(), torch.nn.Linear(2, 2)
    assert (team.rank, team.size, team.leads) == (0, 1, True)
    assert team.wrap(net) is net and team.share(2.5, torch.device("cpu")) == 2.5
    team.average_([torch.ones(2)])
    team.wait()


def test_a_batch_averages_statistics_and_retries(tmp_path: Path) -> None:
    volumes = [phantom_volume(f"p{n}", 1.0) for n in range(3)]
    told: list[Any] = []
    made = make_trainer(volumes, tmp_path, told, batch=3)
    made.run()
    assert made.history.steps == 4 and all(torch.isfinite(p).all() for p in made.net.parameters())
    asked: list[tuple[int, int]] = []

    def nothing(item: int, attempt: int) -> None:
        asked.append((item, attempt))

    with pytest.raises(InputError, match="too little"):
        batch_gradients(made.net, made.net, 2, ProcessGroup(), nothing)
    assert asked == [(0, n) for n in range(8)]


def test_without_torchrun_the_module_is_the_command(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert entry.main is main
    missing = [
        "--images",
        str(tmp_path / "none"),
        "--out",
        str(tmp_path / "out"),
        "--device",
        "cpu",
    ]
    assert entry.run(missing) == 2
    assert "none" in capsys.readouterr().err

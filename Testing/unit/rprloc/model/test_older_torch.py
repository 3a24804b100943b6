"""Networks of a newer PyTorch: the file's own weights, and one case of ``interpolate``."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch
from support.version_0_1 import FOLDER

from rprloc.model import loading
from rprloc.model.finding import find_model
from rprloc.model.loading import load_model
from rprloc.model.older_torch import lacks_operator, with_plain_interpolation

NETWORKS = [find_model() / "coarse.pt", find_model() / "fine.pt", FOLDER / "model" / "fine.pt"]


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_plain_interpolation_gives_the_same_latents(path: Path) -> None:
    plain = torch.jit.load(with_plain_interpolation(path))
    x = torch.randn(1, 1, 64, 72, 80, generator=torch.Generator().manual_seed(1))
    network = loading.load_network(path, torch.device("cpu"))
    with torch.no_grad():
        for one, other in zip(_tensors(network(x)), _tensors(plain(x)), strict=True):
            assert torch.equal(one, other)


def _tensors(output: object) -> list[torch.Tensor]:
    return [output] if isinstance(output, torch.Tensor) else list(output)  # type: ignore[call-overload]


def test_nothing_else_of_the_file_is_changed() -> None:
    path = NETWORKS[1]
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(with_plain_interpolation(path)) as new:
        assert old.namelist() == new.namelist()
        changed = [name for name in old.namelist() if old.read(name) != new.read(name)]
    assert changed and all("/torch/nn/functional" in name for name in changed)


def test_network_that_is_refused_for_an_operator_is_loaded_plainly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As PyTorch 2.2 refuses a file of 2.13."""
    load, refused = torch.jit.load, []

    def older(file: object, **options: object) -> object:
        if isinstance(file, str):
            refused.append(file)
            raise RuntimeError(
                "\nUnknown builtin op: aten::_upsample_lanczos2d_aa.\nCould not find"
            )
        return load(file, **options)

    monkeypatch.setattr(torch.jit, "load", older)
    model = load_model(find_model(), torch.device("cpu"))
    assert model.fine is not None and len(refused) == 2


def test_other_refusals_are_told_with_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(file: object, **options: object) -> object:
        raise RuntimeError("\nPytorchStreamReader failed")

    monkeypatch.setattr(torch.jit, "load", damaged)
    with pytest.raises(loading.ModelError, match=f"PyTorch {torch.__version__[:4]}.*failed"):
        load_model(find_model(), torch.device("cpu"))
    assert not lacks_operator(RuntimeError("out of memory"))

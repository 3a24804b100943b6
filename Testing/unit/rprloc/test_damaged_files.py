"""Damaged files of every kind: refused in one line, or read without a silent difference.

``Testing/fuzz.py`` does the same with as many inputs as one has time for.
"""

from __future__ import annotations

import importlib.util

import pytest
from hypothesis import HealthCheck, given, settings
from support.fuzzing.damage import Damage, damages
from support.fuzzing.judging import judge
from support.fuzzing.originals import Original, originals
from support.paths import BUNDLED_MODELS

#: Read by pydicom, where it is installed.
PYDICOM = ("enhanced", "SEG", "RTSTRUCT")
KINDS = (
    *("nii", "nii.gz", "nrrd", "nrrd.gz", "mha", "mha.z", "hdr/img", "dicom", *PYDICOM),
    *("ids.json", "p.fcsv", "r.acsv", "p.mrk.json", "template", "model card"),
)
#: 2,000 inputs over all kinds.
EACH = 120


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Original]:
    found = originals(tmp_path_factory.mktemp("fuzz"), BUNDLED_MODELS / "han-ct")
    return {original.kind: original for original in found}


def test_every_kind_is_damaged(files: dict[str, Original]) -> None:
    missing = () if importlib.util.find_spec("pydicom") else PYDICOM
    assert tuple(files) == tuple(kind for kind in KINDS if kind not in missing)


@pytest.mark.parametrize("kind", KINDS)
def test_no_damage_breaks_a_reader(files: dict[str, Original], kind: str) -> None:
    if kind not in files:
        pytest.skip("pydicom reads this kind")

    @settings(
        max_examples=EACH, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(damages())
    def attack(changes: list[Damage]) -> None:
        judge(files[kind], changes)

    attack()

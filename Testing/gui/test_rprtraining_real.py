"""A folder of real CTs, through the panel, to an installed model that locates an organ.

Trains for some minutes: skipped where the CTs are not there.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import slicer
from RPRLocalizationLib.scene import conversion
from support.panels.training_panel_driver import TrainingPanelDriver
from support.paths import HAN, SAMPLE_DATA

pytest.importorskip("torch", reason="the worker needs torch")

CTS, MINUTES, PATIENCE_S = 16, 1.0, 900.0
ORGAN, TOLERANCE_MM = "Mandible", 20.0

pytestmark = pytest.mark.skipif(
    not HAN.is_dir(), reason="the head-and-neck CTs (shared/data/han) are not on this machine"
)


@pytest.fixture
def real(host, loadModule, tmp_path):
    """The panel as a user has it, with a folder of real CTs, two of them without use."""
    from RPRTrainingLib.trainingsettings import TrainingSettings

    settings = TrainingSettings()
    settings.chosenRunsFolder = str(tmp_path / "trainings")
    settings.modelFolder = str(tmp_path / "models")
    settings.device = "cpu"
    folder = tmp_path / "cts"
    folder.mkdir()
    chosen = sorted((HAN / "train").glob("*.nii.gz"))[:CTS]
    for path in chosen:
        shutil.copy(path, folder / path.name)
    shutil.copy(chosen[0], folder / "again.nii.gz")
    (folder / "damaged.nii.gz").write_bytes(b"no image")
    yield TrainingPanelDriver(host, loadModule("RPRTraining"), None, folder)
    host.unloadModules()


def finish(bench: TrainingPanelDriver) -> None:
    """Wait until the worker has nothing to do."""
    bench.host.waitFor(lambda: not bench.logic.task, seconds=PATIENCE_S)
    bench.settle()


def organ(path: Path):
    """The organ's box (LPS) in a labelled CT."""
    from rprloc.targets.loading import load_targets

    labels = path.with_name(path.name.replace(".nii.gz", ".labels.nii.gz"))
    return next(
        target.box
        for target in load_targets(labels, names(), skip_absent=True)
        if target.name == ORGAN
    )


def names() -> Path:
    """The file with the names of the labels: those of the sample are the same."""
    return SAMPLE_DATA / "label_ids.json"


def marked(path: Path):
    """A labelled CT in the scene, and a box drawn around the organ."""
    volume = slicer.util.loadVolume(str(path), {"name": "reference"})
    box = organ(path)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", ORGAN)
    node.SetCenter(conversion.lpsToRas(box.center))
    node.SetSize(box.size)
    return volume, node


def choose(selector, data: str) -> None:
    """Choose an item as a user does."""
    index = selector.findData(data)
    selector.setCurrentIndex(index)
    selector.activated.emit(index)


def test_folderOfRealCTsBecomesAModelThatLocatesAnOrgan(real):
    real.scan()
    verdicts = real.column(real.ui.ctsTable, 1)
    assert verdicts.count("used") == CTS and len(verdicts) == CTS + 2
    # Fine-tuning: minutes from scratch would teach nothing that could be tested.
    choose(real.ui.startFromSelector, "han-ct")
    choose(real.ui.presetSelector, "head-and-neck")
    real.ui.minutesSpin.setValue(MINUTES)
    real.plan()
    real.click(real.ui.trainButton)
    finish(real)
    assert real.ui.trainStatusLabel.text.startswith("Done"), real.log()
    assert real.logic.run.heldOutMm < real.logic.run.guessMm / 2
    real.click(real.ui.checkButton)
    finish(real)
    assert real.ui.checkTable.rowCount >= 2, real.ui.checkLabel.text
    real.click(real.ui.installButton)
    finish(real)
    localization = real.host.loadModule("RPRLocalization")
    real.host.selectModule("RPRTraining")
    real.click(real.ui.openLocalizationButton)
    assert localization.ui.modelSelector.currentText.startswith("my abdomen 1.0.0")
    reference, query = sorted(p for p in (HAN / "val").glob("*.nii.gz") if ".labels" not in p.name)[
        :2
    ]
    volume, box = marked(reference)
    (row,) = localization.logic.localize(volume, [box], [query]).rows
    assert row.status == "ok" and np.linalg.norm(row.center - organ(query).center) < TOLERANCE_MM

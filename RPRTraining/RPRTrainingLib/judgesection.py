"""Section 4: which trained model, and how good it is, judged without annotations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import qt
from RPRLocalizationLib.jobs.workerjob import Problem
from RPRLocalizationLib.library.modelcatalog import ModelInfo, listModels, readCard
from RPRLocalizationLib.widgets import torchsetup
from RPRLocalizationLib.widgets.helpers import breakable, connectPath, signalsBlocked, tableItem
from RPRLocalizationLib.widgets.oneaction import oneAction
from RPRLocalizationLib.widgets.section import Section, showingErrors
from slicer.i18n import tr as _

from rprloc.model.card import CARD_NAME

from .errorpicture import errorPicture
from .texts import lengths
from .traininglogic import CHECK, RPRTrainingLogic

MEASURE, MEAN, P95, COUNT = range(4)
TABLE_HEIGHT = 260


class JudgeSection(Section[RPRTrainingLogic]):
    """The models of the trainings, then the installed ones; the self-check of the chosen one.

    rows: returns the ticked rows of section 1.
    """

    def __init__(
        self,
        ui: Any,
        logic: RPRTrainingLogic,
        changed: Callable[[], None],
        rows: Callable[[], list[dict[str, Any]]],
    ) -> None:
        super().__init__(ui, logic, changed)
        self._rows = rows
        self._models: list[dict[str, Any]] = []
        self._checked = ""
        self._outcome = ""
        ui.checkTargetsEdit.currentPath = logic.settings.targets
        connectPath(ui.checkTargetsEdit, self._onTargets)
        ui.trainedSelector.connect("activated(int)", lambda index: self._onModel())
        ui.checkButton.connect("clicked(bool)", self._onCheck)
        ui.cancelCheckButton.connect("clicked(bool)", lambda: logic.cancel())
        header = ui.checkTable.horizontalHeader()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(MEASURE, qt.QHeaderView.Stretch)
        for column in (MEAN, P95, COUNT):
            header.setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        self._clear()

    @property
    def model(self) -> dict[str, Any] | None:
        """The chosen model, None if there is none.

        ``folder``, ``title``, ``run``: folder of its training or empty, ``installed``: the folder
        where the localization panel finds it, empty if it does not.
        """
        index = self.ui.trainedSelector.currentIndex
        return self._models[index] if 0 <= index < len(self._models) else None

    def showRuns(self, runs: list[dict[str, Any]], chosen: str = "") -> None:
        """List the models of these trainings and the installed ones.

        chosen: the folder of the model to choose; empty: the one that is chosen stays.
        """
        before = chosen or (self.model or {}).get("folder", "")
        installed = listModels(self.logic.settings.modelFolder)
        trained = [trainedModel(run, installed) for run in runs if run.get("model")]
        self._models = [*trained, *map(installedModel, installed)]
        folders = [model["folder"] for model in self._models]
        with signalsBlocked(self.ui.trainedSelector):
            self.ui.trainedSelector.clear()
            for model in self._models:
                self.ui.trainedSelector.addItem(model["title"])
            self.ui.trainedSelector.currentIndex = folders.index(before) if before in folders else 0
        if self._checked and (self.model or {}).get("folder") != self._checked:
            self._clear()

    def update(self) -> None:
        """Enable the buttons, or say why not."""
        checking = self.logic.task == CHECK
        problem = self.logic.busyReason() or torchsetup.busyReason() or self._problem()
        self.setEnabled(
            self.ui.checkButton,
            problem,
            _(
                "Carry random points from one held-out CT to another and back, and measure how far"
                " off they end."
            ),
        )
        self.setEnabled(
            self.ui.cancelCheckButton,
            "" if checking else _("No self-check is running."),
            _("Stop the self-check."),
        )
        self.ui.trainedSelector.enabled = not checking
        self.ui.checkProgressBar.visible = checking
        if not checking:
            self.ui.checkLabel.text = breakable(self._outcome or problem)

    def _problem(self) -> str:
        if self.model is None:
            return _("There is no model yet: train one in section 3.")
        if not self.model["run"] and len(self._rows()) < 2:
            return _(
                "Scan a folder in section 1: an installed model is judged on the CTs that are"
                " ticked there."
            )
        return ""

    def _onModel(self) -> None:
        self._clear()
        self.changed()

    def _clear(self) -> None:
        self._outcome = self._checked = ""
        self.ui.checkTable.setRowCount(0)
        self.ui.checkTable.visible = self.ui.checkPictureLabel.visible = False

    def _onTargets(self, path: str) -> None:
        self.logic.settings.targets = path
        self.changed()

    @oneAction
    def _onCheck(self) -> None:
        if self.model is not None and torchsetup.ensureTorch(self.changed):
            self._clear()
            self.ui.checkProgressBar.maximum = 0
            self.ui.checkLabel.text = _("Starting the self-check...")
            with showingErrors(_("The self-check could not be started.")):
                self.logic.check(self._params(self.model), self._onProgress, self._onDone)
        self.changed()

    def _params(self, model: dict[str, Any]) -> dict[str, Any]:
        self._checked = model["folder"]
        return {
            "model": model["folder"],
            "run": model["run"],
            "rows": [] if model["run"] else self._rows(),
            "device": self.logic.settings.device,
            "targets": self.ui.checkTargetsEdit.currentPath.strip() or None,
        }

    def _onProgress(self, event: dict[str, Any]) -> None:
        self.ui.checkProgressBar.maximum = max(1, int(event.get("total") or 1))
        self.ui.checkProgressBar.value = int(event.get("done") or 0)
        self.ui.checkLabel.text = str(event.get("message", ""))

    def _onDone(self, result: Any, problem: Problem | None) -> None:
        if problem is not None:
            self._outcome = f"⚠ {problem.message}"
        else:
            self._outcome = outcomeText(result, bool((self.model or {}).get("run")))
            self._fillTable(result.get("rows", ()))
            self._showPicture(result.get("errors") or {})
        self.changed()

    def _fillTable(self, rows: Sequence[dict[str, Any]]) -> None:
        table = self.ui.checkTable
        table.setRowCount(len(rows))
        for index, row in enumerate(rows):
            values = [withUnit(row.get(key), row.get("unit")) for key in ("mean", "p95")]
            for column, text in enumerate([measureTitle(row), *values, str(row.get("n", ""))]):
                table.setItem(index, column, tableItem(text, measureHint(row)))
        table.visible = bool(rows)
        height = (
            table.horizontalHeader().height
            + sum(table.rowHeight(index) for index in range(len(rows)))
            + 4
        )
        table.setFixedHeight(min(height, TABLE_HEIGHT))

    def _showPicture(self, errors: dict[str, list[float]]) -> None:
        titled = {measureTitle({"name": name}): values for name, values in errors.items() if values}
        self.ui.checkPictureLabel.visible = bool(titled)
        if titled:
            self.ui.checkPictureLabel.setPixmap(errorPicture(titled))


def outcomeText(result: dict[str, Any], own: bool) -> str:
    """The verdict, what it was measured on, and what it is worth.

    own: whether it is the model of a training on this computer.
    """
    text = _("{verdict} Measured on {volumes} CTs, {pairs} pairs of them.")
    lines = [
        text.format(
            verdict=result.get("verdict", ""),
            volumes=result.get("volumes", "?"),
            pairs=result.get("pairs", "?"),
        ).strip()
    ]
    if own and not result.get("held_out", True):
        lines.append(
            _(
                "⚠ The training has seen these CTs: too few were held out. The true errors may be"
                " larger."
            )
        )
    lines += [_("⚠ Left out: {name}").format(name=name) for name in result.get("left_out", ())]
    return "\n".join(lines)


def trainedModel(run: dict[str, Any], installed: list[Any]) -> dict[str, Any]:
    """The model of a training; it is installed if a model with the same checksums is."""
    info = readCard(Path(str(run["model"])) / CARD_NAME)
    same = [other for other in installed if info is not None and other.identity == info.identity]
    text = _("{name} (trained {date}, installed)") if same else _("{name} (trained {date})")
    return {
        "folder": str(run["model"]),
        "title": text.format(name=run.get("name", ""), date=str(run.get("updated", ""))[:10]),
        "run": str(run["folder"]),
        "installed": str(same[0].folder) if same else "",
    }


def installedModel(info: ModelInfo) -> dict[str, Any]:
    """A model of the localization panel's list."""
    title = _("{name} {version} (installed)").format(name=info.name, version=info.version)
    return {"folder": str(info.folder), "title": title, "run": "", "installed": str(info.folder)}


def measureTitle(row: dict[str, Any]) -> str:
    """What was measured, for people."""
    titles = {
        "cycle error": _("There and back (cycle error)"),
        "repeatability": _("Same point twice (repeatability)"),
    }
    name = str(row.get("name", ""))
    return titles.get(name, name)


def measureHint(row: dict[str, Any]) -> str:
    """What the measure means."""
    hints = {
        "cycle error": _(
            "A point is carried to another patient's CT and back; so far from its start it ends."
        ),
        "repeatability": _(
            "A point is found again in a changed and cropped copy of the CT; so far off it is."
        ),
    }
    return hints.get(str(row.get("name", "")), "")


def withUnit(value: float | None, unit: str | None) -> str:
    """``7.3 mm``; a dash for None."""
    return "-" if value is None else f"{lengths([value], 1)} {unit or ''}".strip()

"""Section 2: what to train, and what that will take, shown before anything starts."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from typing import Any

from RPRLocalizationLib.jobs.workerjob import Problem
from RPRLocalizationLib.library.modelcatalog import listModels
from RPRLocalizationLib.widgets import torchsetup
from RPRLocalizationLib.widgets.delayed import Delayed
from RPRLocalizationLib.widgets.helpers import (
    connectPath,
    defaultDevices,
    detectedDevices,
    duration,
    fillDevices,
    signalsBlocked,
)
from RPRLocalizationLib.widgets.oneaction import oneAction
from RPRLocalizationLib.widgets.section import Section
from slicer.i18n import tr as _

from .ctssection import countedCTs
from .traininglogic import SCAN, RPRTrainingLogic

PLAN_DELAY_MS = 300
STAGES = ("coarse", "fine")


class PlanSection(Section[RPRTrainingLogic]):
    """Name, preset, numbers, device; ``plan`` is the worker's answer, None until it is there.

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
        self.plan: dict[str, Any] | None = None
        self._problem = ""
        self._asked: dict[str, Any] | None = None
        self._planning = False
        self._finding = False
        self._devices = defaultDevices()
        self._soon = Delayed(self._ask, PLAN_DELAY_MS)
        self._spins = {
            (stage, key): getattr(ui, f"{stage}{title}Spin")
            for stage in STAGES
            for key, title in (("spacing", "Spacing"), ("range_mm", "Range"))
        }
        self._changes: dict[tuple[str, str], float] = {}
        self._fill()
        self._connect()

    def cleanup(self) -> None:
        """The module is being unloaded."""
        self._soon.end()
        super().cleanup()

    def incompleteReason(self) -> str:
        """Why a training cannot start with this; empty if it can."""
        if not self.name():
            return _("Give the model a name in section 2.")
        if not folderName(self.name()):
            return _("The name of the model needs at least one letter or digit.")
        if not self.ui.regionEdit.text.strip():
            return _("Say in section 2 which body region the CTs show.")
        if self.plan is None:
            return self._problem or _("The plan is being worked out.")
        return str(self.plan.get("problem") or "")

    def name(self) -> str:
        """Name of the model."""
        return self.ui.nameEdit.text.strip()

    def params(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """The parameters of ``train.plan``."""
        changes: dict[str, dict[str, float]] = {}
        for (stage, key), value in self._changes.items():
            changes.setdefault(stage, {})[key] = value
        return {
            "preset": chosenData(self.ui.presetSelector),
            "rows": rows,
            "device": self.logic.settings.device,
            "minutes": self.ui.minutesSpin.value or None,
            "changes": changes,
            "start_from": chosenData(self.ui.startFromSelector),
        }

    def card(self) -> dict[str, Any]:
        """What the model card says: name, body region, and where the CTs come from."""
        data = {
            "source": self.ui.sourceEdit.text.strip(),
            "licence": self.ui.licenceEdit.text.strip(),
        }
        return {
            "name": self.name(),
            "version": "1.0.0",
            "body_region": self.ui.regionEdit.text.strip(),
            "data": {key: value or "not stated" for key, value in data.items()},
        }

    def update(self) -> None:
        """Enable the fields; ask for a plan if something has changed that it depends on."""
        idle = not self.logic.training
        for field in (self.ui.planForm, self.ui.numbersBox):
            field.enabled = idle
        looking = _("Looking for devices...") if self._finding else torchsetup.busyReason()
        busy = self.logic.busyReason() or looking
        self.setEnabled(
            self.ui.findDevicesButton,
            busy,
            _("Look for graphics cards (starts the worker process)."),
        )
        self.setEnabled(
            self.ui.resetNumbersButton,
            "" if self._changes else _("These are the numbers of the preset."),
            _("Go back to the numbers of the preset."),
        )
        self._planIfNeeded()
        self._showPlan()

    def _planIfNeeded(self) -> None:
        rows = self._rows()
        if not rows or self.logic.task == SCAN:
            self.plan, self._asked, self._problem = None, None, ""
        elif self.logic.task:
            return
        elif self.params(rows) != self._asked:
            self.plan, self._problem = None, ""
            self._soon.start()

    def _ask(self) -> None:
        """Ask the worker, unless it has begun something else meanwhile."""
        if self.logic.task or self._planning or not self._rows():
            return
        self._asked = self.params(self._rows())
        self._planning = True
        # Timing a few steps takes seconds: everything else is shown before that.
        self._request(self._asked, measure=False)
        self._showPlan()

    def _request(self, asked: dict[str, Any], measure: bool) -> None:
        def onPlan(result: Any, problem: Problem | None) -> None:
            current = asked == self.params(self._rows())
            untimed = (
                current and not measure and result is not None and result.get("seconds") is None
            )
            if current and (result is not None or not measure):
                self.plan, self._problem = result, problem.message if problem else ""
                self._showNumbers(result or {})
            if untimed and not self.logic.task:
                self._request(asked, measure=True)
            else:
                self._planning = False
            self.changed()

        self.logic.plan({**asked, "measure": measure}, onPlan)

    def _showPlan(self) -> None:
        if not self._rows():
            text = _("The plan is shown here once a folder has been scanned.")
        elif self.plan is not None:
            text = planText(self.plan)
        elif self._problem:
            text = f"⚠ {escape(self._problem)}"
        elif self.logic.task:
            text = _("The plan is worked out when the worker process is free.")
        else:
            text = _("The plan is being worked out...")
        self.ui.planLabel.text = text

    def _showNumbers(self, plan: dict[str, Any]) -> None:
        for stage in plan.get("stages", ()):
            for key in ("spacing", "range_mm"):
                spin = self._spins.get((stage.get("name"), key))
                if spin is not None and stage.get(key):
                    with signalsBlocked(spin):
                        spin.value = float(stage[key])

    def _connect(self) -> None:
        ui = self.ui
        for edit, setting in (
            (ui.nameEdit, "name"),
            (ui.regionEdit, "bodyRegion"),
            (ui.sourceEdit, "source"),
            (ui.licenceEdit, "licence"),
        ):
            edit.connect(
                "textChanged(QString)", lambda text, setting=setting: self._remember(setting, text)
            )
        ui.presetSelector.connect("activated(int)", self._onPreset)
        ui.startFromSelector.connect("activated(int)", lambda index: self.changed())
        ui.trainDeviceSelector.connect("activated(int)", self._onDevice)
        ui.minutesSpin.connect(
            "valueChanged(double)", lambda value: self._remember("minutes", f"{value:g}")
        )
        connectPath(ui.runsFolderEdit, lambda path: self._remember("chosenRunsFolder", path))
        ui.findDevicesButton.connect("clicked(bool)", self._onFindDevices)
        ui.resetNumbersButton.connect("clicked(bool)", self._onResetNumbers)
        for key, spin in self._spins.items():
            spin.connect("valueChanged(double)", lambda value, key=key: self._onNumber(key, value))

    def _fill(self) -> None:
        ui, settings = self.ui, self.logic.settings
        ui.nameEdit.text, ui.regionEdit.text = settings.name, settings.bodyRegion
        ui.sourceEdit.text, ui.licenceEdit.text = settings.source, settings.licence
        ui.minutesSpin.value = number(settings.minutes)
        ui.runsFolderEdit.currentPath = str(settings.runsFolder)
        ui.presetSelector.clear()
        for key, title in (
            ("from-data", _("From my data (numbers from the measured CTs)")),
            ("head-and-neck", _("Head and neck (slices of about 3 mm)")),
            ("abdomen", _("Abdomen (about 3 mm)")),
        ):
            ui.presetSelector.addItem(title, key)
        ui.presetSelector.currentIndex = max(0, ui.presetSelector.findData(settings.preset))
        self.fillModels()
        self._fillDevices()

    def fillModels(self) -> None:
        """The models whose weights may be the start."""
        selector = self.ui.startFromSelector
        chosen = chosenData(selector)
        with signalsBlocked(selector):
            selector.clear()
            selector.addItem(_("Nothing (learn from scratch)"), "")
            for model in listModels(self.logic.settings.modelFolder):
                selector.addItem(model.title, model.key)
            selector.currentIndex = max(0, selector.findData(chosen or ""))

    def _fillDevices(self) -> None:
        fillDevices(self.ui.trainDeviceSelector, self._devices, self.logic.settings.device)

    def _remember(self, setting: str, value: str) -> None:
        setattr(self.logic.settings, setting, value)
        self.changed()

    def _onPreset(self, index: int) -> None:
        self.logic.settings.preset = self.ui.presetSelector.itemData(index)
        self._onResetNumbers()

    def _onNumber(self, key: tuple[str, str], value: float) -> None:
        self._changes[key] = value
        self.changed()

    def _onResetNumbers(self) -> None:
        self._changes = {}
        self.changed()

    def _onDevice(self, index: int) -> None:
        self.logic.settings.device = self.ui.trainDeviceSelector.itemData(index)
        self.changed()

    @oneAction
    def _onFindDevices(self) -> None:
        if torchsetup.ensureTorch(self.changed):
            self._finding = True
            self.logic.findDevices(self._onDevices)
        self.changed()

    def _onDevices(self, result: Any, problem: Problem | None) -> None:
        self._finding = False
        if problem is not None:
            self._problem = problem.message
        else:
            self._devices = detectedDevices(result["devices"])
            self._fillDevices()
        self.changed()


def chosenData(selector: Any) -> Any:
    """The data of the chosen item; None if there is none."""
    return selector.itemData(selector.currentIndex) if selector.count else None


def number(text: str) -> float:
    """A remembered number; 0 for anything else."""
    try:
        return float(text)
    except ValueError:
        return 0.0


def folderName(name: str) -> str:
    """A folder's name made of a model's name, safe on every system; empty if nothing is left."""
    return re.sub(r"[^\w-]+", "-", name, flags=re.ASCII).strip("-_")[:60]


def planText(plan: dict[str, Any]) -> str:
    """The plan as rich text."""
    lines = [
        _("<b>{training} to learn from, {heldOut} held out to judge the model.</b>").format(
            training=countedCTs(int(plan.get("training", 0))),
            heldOut=countedCTs(int(plan.get("held_out", 0))),
        )
    ]
    lines += [stageText(stage) for stage in plan.get("stages", ())]
    device = escape(deviceTitle(str(plan.get("device", ""))))
    if plan.get("seconds") is None:
        time = _("Time on {device}: a few steps are being timed...").format(device=device)
    else:
        time = _("Time: about <b>{time}</b> on {device}.").format(
            time=duration(plan["seconds"]), device=device
        )
    sizes = [
        (_("memory {size}"), plan.get("memory_gb")),
        (_("graphics memory {size}"), plan.get("gpu_gb")),
        (_("disk {size}"), plan.get("disk_gb")),
    ]
    needs = ", ".join(
        text.format(size=f"{max(value, 0.1):.1f} GB") for text, value in sizes if value
    )
    lines.append(f"{time} {_('Needs {needs}.').format(needs=needs)}" if needs else time)
    lines += [
        f"⚠ {escape(str(note))}" for note in [*plan.get("notes", ()), plan.get("problem")] if note
    ]
    return "<br>".join(lines)


def deviceTitle(device: str) -> str:
    """A device for people."""
    return {"cpu": _("the CPU")}.get(device, device)


def stageText(stage: dict[str, Any]) -> str:
    """One network in one line."""
    titles = {"coarse": _("Coarse network"), "fine": _("Fine network")}
    text = _(
        "{title}: {spacing} mm voxels, range r = {reach} mm, receptive field {seen} mm, {time}."
    )
    return text.format(
        title=titles.get(str(stage.get("name")), stage.get("name")),
        spacing=f"{stage.get('spacing', 0):g}",
        reach=f"{stage.get('range_mm', 0):g}",
        seen=f"{stage.get('receptive_mm', 0):.0f}",
        time=duration(stage.get("seconds"))
        or _("{steps} steps").format(steps=stage.get("steps", "?")),
    )

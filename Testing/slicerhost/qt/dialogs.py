"""Answers for modal dialogs, given by the test beforehand.

No dialog may block a test: a message box, file dialog, input dialog or other modal dialog that
opens takes the next answer. A dialog that nobody expected is refused (Cancel, No, "") and recorded
as a failure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6 import QtWidgets

from . import failures

QMessageBox = QtWidgets.QMessageBox


@dataclass(frozen=True)
class Shown:
    """A dialog that was shown: its kind ("message", "file", "input", "dialog"), title and texts."""

    kind: str
    title: str
    text: str
    details: str = ""


@dataclass(frozen=True)
class _Answer:
    kind: str
    value: Any


class Dialogs:
    """The answers to come and the dialogs that were shown.

    interactive: a person answers, in the real window.
    """

    def __init__(self) -> None:
        self.interactive = False
        self.shown: list[Shown] = []
        self._answers: list[_Answer] = []

    def answerMessage(self, button: Any = QMessageBox.StandardButton.Ok) -> None:
        """Expect a message box and press this button: a standard one, or the text of any."""
        self._answers.append(_Answer("message", button))

    def answerFile(self, path: Any) -> None:
        """Expect a file dialog and choose this path (a list for several files; "" cancels)."""
        self._answers.append(_Answer("file", path))

    def answerInput(self, value: Any) -> None:
        """Expect an input dialog and enter this value ("" cancels)."""
        self._answers.append(_Answer("input", value))

    def answerDialog(self, action: Callable[[Any], None]) -> None:
        """Expect any other modal dialog; ``action`` gets it and ends it, such as by a button."""
        self._answers.append(_Answer("dialog", action))

    def reset(self) -> list[str]:
        """Forget everything; returns which answers nobody asked for."""
        left = [
            f"the expected {answer.kind} dialog was not shown (answer {answer.value!r})"
            for answer in self._answers
        ]
        self._answers.clear()
        self.shown.clear()
        return left

    def take(self, shown: Shown, otherwise: Any) -> Any:
        """The answer for a dialog that is being shown; without one, ``otherwise`` and a failure."""
        self.shown.append(shown)
        if self._answers and self._answers[0].kind == shown.kind:
            return self._answers.pop(0).value
        failures.record(
            f"unexpected {shown.kind} dialog {shown.title!r}: {shown.text} {shown.details}".rstrip()
        )
        return otherwise


def install(dialogs: Dialogs) -> None:
    """Route Qt's modal dialogs through ``dialogs``; with PythonQt's return values."""
    _installExec(dialogs)
    _installMessageBox(dialogs)
    _installFileDialog(dialogs)
    _installInputDialog(dialogs)


def _installExec(dialogs: Dialogs) -> None:
    execute = QtWidgets.QDialog.exec

    def exec_(self: Any) -> int:
        if dialogs.interactive:
            return execute(self)
        if isinstance(self, QMessageBox):
            return pressed(self, dialogs)
        action = dialogs.take(Shown("dialog", self.windowTitle, type(self).__name__), None)
        if action is None:
            return int(QtWidgets.QDialog.DialogCode.Rejected)
        self.show()
        action(self)
        if self.isVisible():
            failures.record(f"the answer left the dialog {self.windowTitle!r} open")
            self.hide()
        return self.result()

    for cls in (
        QtWidgets.QDialog,
        QMessageBox,
        QtWidgets.QFileDialog,
        QtWidgets.QInputDialog,
        QtWidgets.QProgressDialog,
    ):
        cls.exec_ = cls.exec = exec_


def pressed(box: QMessageBox, dialogs: Dialogs) -> int:
    """Press the answer's button in a message box and return what ``exec_`` returns."""
    shown = Shown("message", box.windowTitle.strip(), box.text, box.detailedText)
    if box.standardButtons == QMessageBox.StandardButton.NoButton and not box.buttons():
        box.setStandardButtons(QMessageBox.StandardButton.Ok)
    answer = dialogs.take(shown, None)
    if answer is None:
        button = box.escapeButton() or box.buttons()[-1]
    elif isinstance(answer, str):
        button = next((b for b in box.buttons() if b.text.replace("&", "") == answer), None)
    else:
        button = box.button(answer)
    if button is None:
        failures.record(f"the message box {shown.title!r} has no button {answer!r}")
        return int(QMessageBox.StandardButton.Cancel)
    # Clicking an unshown box's button sets clickedButton() and the result as in exec.
    box.show()
    button.click()
    standard = box.standardButton(button)
    return int(standard) if standard != QMessageBox.StandardButton.NoButton else box.result()


def _installMessageBox(dialogs: Dialogs) -> None:
    icons = {
        "information": "Information",
        "warning": "Warning",
        "critical": "Critical",
        "question": "Question",
    }
    for name, icon in icons.items():
        standard = QMessageBox.StandardButton
        preset = standard.Yes | standard.No if name == "question" else standard.Ok
        setattr(
            QMessageBox,
            name,
            staticmethod(_messageFunction(getattr(QMessageBox.Icon, icon), preset)),
        )


def _messageFunction(icon: Any, preset: Any) -> Callable[..., int]:
    def show(parent: Any, title: str, text: str, buttons: Any = preset, default: Any = None) -> int:
        box = QMessageBox(icon, title, text, buttons, parent)
        if default is not None:
            box.setDefaultButton(default)
        return box.exec_()

    return show


def _installFileDialog(dialogs: Dialogs) -> None:
    """PythonQt returns the path (or a tuple of paths) alone, without the chosen filter."""
    cls = QtWidgets.QFileDialog
    for name in ("getOpenFileName", "getSaveFileName", "getExistingDirectory", "getOpenFileNames"):
        setattr(cls, name, staticmethod(_fileFunction(dialogs, getattr(cls, name), name)))


def _fileFunction(dialogs: Dialogs, original: Callable[..., Any], name: str) -> Callable[..., Any]:
    several = name.endswith("s")

    def choose(parent: Any = None, caption: str = "", directory: str = "", *others: Any) -> Any:
        if dialogs.interactive:
            chosen = original(parent, caption, str(directory), *others)
            chosen = chosen[0] if isinstance(chosen, tuple) else chosen
        else:
            chosen = dialogs.take(Shown("file", caption, name), "")
        if several:
            return tuple(map(str, chosen or ()))
        return str(chosen)

    return choose


def _installInputDialog(dialogs: Dialogs) -> None:
    """PythonQt returns the value alone: empty or preset, as in Qt, where it was cancelled."""
    cls = QtWidgets.QInputDialog
    cancelled = {
        "getText": "",
        "getMultiLineText": "",
        "getItem": "",
        "getInt": 0,
        "getDouble": 0.0,
    }
    for name, nothing in cancelled.items():
        setattr(cls, name, staticmethod(_inputFunction(dialogs, getattr(cls, name), nothing)))


def _inputFunction(
    dialogs: Dialogs, original: Callable[..., Any], nothing: Any
) -> Callable[..., Any]:
    def enter(parent: Any, title: str, label: str, *others: Any) -> Any:
        if dialogs.interactive:
            value, accepted = original(parent, title, label, *others)
            return value if accepted else nothing
        return dialogs.take(Shown("input", title, label), nothing)

    return enter

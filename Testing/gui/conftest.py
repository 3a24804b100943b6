"""The gui tier: module code in the Slicer test host.

One host per process, a clean application for every test.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import slicerhost
from slicerhost import environment
from slicerhost.views.rendering import RenderingUnavailable
from support.panels.panel_driver import panel  # noqa: F401 (a fixture)
from support.panels.training_panel_driver import bench  # noqa: F401 (a fixture)

NO_WINDOW = "the test host runs without a main window"
REASON = environment.missing()
if not REASON:
    # The test files import qt and ctk, which exist once the host has started.
    slicerhost.start()


class _Skipped(pytest.Module):
    """A test file that cannot be imported without the host."""

    def collect(self) -> Iterator[Any]:
        pytest.skip(REASON, allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Any, parent: Any) -> Any:
    """Report the test files of this folder as skipped where the host cannot run."""
    return _Skipped.from_parent(parent, path=module_path) if REASON else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a main window there are no views and no message boxes: leave out such tests."""
    for item in items if not environment.wantsMainWindow() else ():
        if item.get_closest_marker("mainwindow") is not None:
            item.add_marker(pytest.mark.skip(reason=NO_WINDOW))


def _skipWithoutRendering() -> Iterator[None]:
    """Skip a test that needs a picture where none can be rendered."""
    try:
        return (yield)
    except RenderingUnavailable as problem:
        pytest.skip(str(problem))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    return (yield from _skipWithoutRendering())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    return (yield from _skipWithoutRendering())


def _ownCode() -> dict[str, Any]:
    """What has been imported of the extension."""
    packages = ("RPRLocalizationLib", "RPRTrainingLib", "rprloc", "rprtrain")
    return {n: m for n, m in sys.modules.items() if n.partition(".")[0] in packages}


@pytest.fixture
def host() -> Iterator[Any]:
    """The host with an empty scene; a failure that no one could catch fails the test."""
    from slicerhost.qt import failures

    started = slicerhost.start()
    started.clear()
    failures.take()
    code = _ownCode()
    yield started
    left = started.dialogs.reset()
    started.clear()
    if any(sys.modules.get(name) is not module for name, module in code.items()):
        # A module was reloaded; test files hold on to the code that they have imported.
        for name in _ownCode():
            del sys.modules[name]
        sys.modules.update(code)
    problems = failures.take() + left
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


@pytest.fixture
def loadModule(host: Any) -> Callable[[str], Any]:
    """Loads and opens a module of the repository by its name; gives its widget."""
    return host.loadModule

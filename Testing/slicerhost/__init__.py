"""The test host: 3D Slicer's Python surroundings without the Slicer application.

Modules under test see ``import qt, ctk, slicer`` as in Slicer. What lies below is, most real first:

- the MRML scene, nodes, module logics, displayable managers and ``slicer.util``: Slicer's own
    (slicer-core);
- Qt: PySide6, dressed as PythonQt (``pythonqt``);
- ctk and qMRML widgets, ``slicer.app``, ``slicer.modules``: written here, only what scripted
    modules use;
- ``ScriptedLoadableModule``, ``parameterNodeWrapper``, ``i18n``: written here (``standins``), or
  Slicer's own unmodified files when the environment variable SLICER_PYTHON_SOURCE names a checkout
  of Slicer.

It is stricter than Slicer: an exception in a slot, an unknown signal, attribute or custom widget,
and a dialog that nobody expected are failures (``failures``). ``start()`` gives the one host of the
process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .host import Host

_host: Host | None = None


def start(onScreen: bool = False) -> Host:
    """The host of this process, started on the first call; offscreen by default.

    The first call takes about 3 s, because it imports slicer.

    Raises ImportError with the reason if this machine cannot run it (see ``environment.missing``).
    """
    global _host
    if _host is None:
        from . import environment

        environment.prepare(onScreen)
        from .host import Host

        _host = Host()
    return _host

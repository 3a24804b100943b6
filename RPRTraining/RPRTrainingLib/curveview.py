"""Showing the training curves in a plot view of Slicer, and going back to the user's layout."""

from __future__ import annotations

import slicer


class CurveView:
    """``toggle`` is called when the user asks for it; nothing else ever changes the layout."""

    def __init__(self, curves, changed) -> None:
        self._curves = curves
        self._changed = changed
        self._before: int | None = None
        self._plotLayout: int | None = None
        slicer.app.layoutManager().connect("layoutChanged(int)", self._onLayout)

    @property
    def shown(self) -> bool:
        """True while the layout is the one that ``toggle`` chose in place of the user's."""
        return self._before is not None

    def toggle(self) -> None:
        """Show the chart in a layout like the present one with a plot view; then go back."""
        manager = slicer.app.layoutManager()
        if self.shown:
            before, self._before = self._before, None
            manager.setLayout(before)
            return
        before = manager.layout
        slicer.modules.plots.logic().ShowChartInLayout(self._curves.ensureChart())
        self._plotLayout = manager.layout
        # A layout that has a plot view already is the user's own: there is nothing to go back to.
        self._before = before if self._plotLayout != before else None

    def cleanup(self) -> None:
        """The module is being unloaded."""
        slicer.app.layoutManager().disconnect("layoutChanged(int)", self._onLayout)

    def _onLayout(self, layout) -> None:
        """The user has chosen another layout: that one stays."""
        if self.shown and layout != self._plotLayout:
            self._before = None
            self._changed()

"""The picture of a self-check: how many points err by less than so many mm, drawn by Qt alone."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

SIZE = (370, 230)
# Pixels: of any font of the application, the texts have their room in the picture.
TEXT_HEIGHT = 11
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 12, 40
WIDEST_MM, STEP_MM = 40, 10
COLORS = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167))


def errorPicture(errors: dict[str, list[float]]) -> Any:
    """Draw a curve per measure into a QPixmap.

    errors: in mm, by the measure's title; measures without values are left out.
    """
    picture = qt.QPixmap(*SIZE)
    picture.fill(qt.QColor(255, 255, 255))
    painter = qt.QPainter(picture)
    painter.setRenderHint(qt.QPainter.Antialiasing, True)
    font = painter.font()
    font.setPixelSize(TEXT_HEIGHT)
    painter.setFont(font)
    try:
        _drawAxes(painter)
        shown = {title: sorted(values) for title, values in errors.items() if values}
        for number, (title, values) in enumerate(shown.items()):
            painter.setPen(qt.QPen(qt.QColor(*COLORS[number % len(COLORS)]), 2))
            _drawCurve(painter, values)
            painter.drawText(
                LEFT + 110, SIZE[1] - BOTTOM - 12 - 16 * (len(shown) - 1 - number), title
            )
    finally:
        painter.end()
    return picture


def _x(error: float) -> int:
    return round(LEFT + (SIZE[0] - LEFT - RIGHT) * min(error, WIDEST_MM) / WIDEST_MM)


def _y(share: float) -> int:
    return round(SIZE[1] - BOTTOM - (SIZE[1] - TOP - BOTTOM) * share)


def _drawAxes(painter: Any) -> None:
    for error in range(0, WIDEST_MM + 1, STEP_MM):
        painter.setPen(qt.QPen(qt.QColor(220, 220, 220), 1))
        painter.drawLine(_x(error), _y(0.0), _x(error), _y(1.0))
        painter.setPen(qt.QPen(qt.QColor(0, 0, 0), 1))
        painter.drawText(_x(error) - 7, _y(0.0) + 15, f"{error}")
    for percent in (0, 50, 100):
        painter.setPen(qt.QPen(qt.QColor(220, 220, 220), 1))
        painter.drawLine(_x(0.0), _y(percent / 100), _x(WIDEST_MM), _y(percent / 100))
        painter.setPen(qt.QPen(qt.QColor(0, 0, 0), 1))
        painter.drawText(6, _y(percent / 100) + 4, f"{percent} %")
    painter.drawText(LEFT, SIZE[1] - 8, _("share of the points whose error is below so many mm"))


def _drawCurve(painter: Any, ordered: list[float]) -> None:
    """A staircase from 0 to the share of the points that are still within the picture."""
    before = (_x(0.0), _y(0.0))
    for count, error in enumerate(ordered, 1):
        if error > WIDEST_MM:
            break
        here = (_x(error), _y(count / len(ordered)))
        painter.drawLine(*before, here[0], before[1])
        painter.drawLine(here[0], before[1], *here)
        before = here
    painter.drawLine(*before, _x(WIDEST_MM), before[1])

from __future__ import annotations

import ast

import pytest
from support.paths import ROOT

pytest.importorskip(
    "matplotlib", reason="the benchmark's figures need matplotlib (pip install .[bench])"
)

from matplotlib.colors import to_rgb

from rprbench.report.measurements import OURS, PAPER, TABLE1, TABLE2, TABLE3
from rprbench.report.style import BLUE, DARK, STATUS_COLORS, color_of, wrapped

NODES = ROOT / "RPRLocalization" / "RPRLocalizationLib" / "scene" / "resultnodes.py"


def test_statuses_have_the_colors_of_the_panel() -> None:
    """``resultnodes`` needs Slicer, so its table is read and not imported."""
    tree = ast.parse(NODES.read_text("utf-8"))
    table = next(
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "STATUS_COLORS"
    )
    assert isinstance(table, ast.Dict)
    names = [ast.unparse(key).lower().replace("_", "-") for key in table.keys if key is not None]
    panel = dict(zip(names, map(ast.literal_eval, table.values), strict=True))
    assert set(panel) == set(STATUS_COLORS)
    for status, color in panel.items():
        assert to_rgb(STATUS_COLORS[status]) == pytest.approx(color, abs=0.01)


def test_every_method_has_a_color_and_ours_alone_is_blue() -> None:
    others = [v for v in (*TABLE3, *PAPER) if v != OURS]
    assert {color_of(v) for v in TABLE2} == {BLUE}
    assert all(color_of(v) not in (BLUE, DARK) for v in others)
    assert all(color_of(v) != DARK for v in TABLE1)
    assert color_of("newcomer") == DARK


def test_titles_are_wrapped_between_words_only() -> None:
    assert wrapped("Template matching, gray-scale NCC", 24) == "Template matching,\ngray-scale NCC"
    assert wrapped("a-very-long-word-without-a-space", 10).count("\n") == 0

"""Nothing imports in a circle, and nothing imports what is above it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.import_graph import (
    SourceTree,
    circles,
    crowded_folders,
    forbidden_imports,
    import_graph,
)
from support.paths import ROOT, TESTING

PACKAGES = {
    "rprloc": ROOT / "RPRLocalization" / "rprloc",
    "rprtrain": ROOT / "RPRTraining" / "rprtrain",
    "RPRLocalizationLib": ROOT / "RPRLocalization" / "RPRLocalizationLib",
    "RPRTrainingLib": ROOT / "RPRTraining" / "RPRTrainingLib",
    "rprbench": TESTING / "Benchmarks" / "rprbench",
    "slicerhost": TESTING / "slicerhost",
    "support": TESTING / "support",
}
ENGINES = {"rprloc", "rprtrain"}
MODULES = {"RPRLocalizationLib", "RPRTrainingLib"}
# The Slicer modules reach rprtrain through the worker's process only.
ALLOWED: dict[str, set[str]] = {
    "rprloc": set(),
    "rprtrain": {"rprloc"},
    "RPRLocalizationLib": {"rprloc"},
    "RPRTrainingLib": {"rprloc", "RPRLocalizationLib"},
    "rprbench": ENGINES,
    "slicerhost": ENGINES | MODULES,
    "support": ENGINES | MODULES | {"rprbench", "slicerhost"},
}
# "About 16", as in the largest folder of torchio; more is no overview any more.
MOST_FILES = 18


@pytest.fixture(scope="module")
def tree() -> SourceTree:
    return SourceTree(PACKAGES)


def test_there_is_no_circle(tree: SourceTree) -> None:
    graph = import_graph(tree)
    assert len(graph) > 40 and any(graph.values())
    paths = circles(graph)
    assert not paths, "\n" + "\n".join(paths)


def test_there_is_no_arrow_up(tree: SourceTree) -> None:
    arrows = forbidden_imports(tree, ALLOWED)
    assert not arrows, "\n" + "\n".join(arrows)


@pytest.mark.parametrize(
    ("package", "above"),
    [
        ("rprloc", "rprtrain|RPRLocalizationLib|RPRTrainingLib|rprbench|slicerhost"),
        ("rprtrain", "RPRLocalizationLib|RPRTrainingLib|rprbench|slicerhost"),
    ],
)
def test_no_engine_names_what_is_above_it(tree: SourceTree, package: str, above: str) -> None:
    """Not in a string or a comment either: such a word is an import in disguise, or will be old."""
    named = [
        f"{tree.place(module)}:{number}: {line.strip()}"
        for module, file in tree.modules.items()
        if module.partition(".")[0] == package
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(rf"\b(?:{above})\b", line)
    ]
    assert not named, "\n" + "\n".join(named)


def test_no_folder_is_crowded(tree: SourceTree) -> None:
    products = SourceTree({name: PACKAGES[name] for name in PACKAGES if name != "support"})
    assert not crowded_folders(products, MOST_FILES)


def plant(folder: Path, files: dict[str, str]) -> SourceTree:
    """Write packages; the first part of every name is the package."""
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    packages = {name.partition("/")[0] for name in files}
    return SourceTree({name: folder / name for name in packages})


def test_a_planted_circle_is_shown_as_a_path(tmp_path: Path) -> None:
    tree = plant(
        tmp_path,
        {
            "low/__init__.py": "",
            "low/errors.py": "",
            "low/image/__init__.py": "",
            "low/image/volume.py": "from ..errors import Bad\nfrom ..model import field\n",
            "low/model/field.py": "def f():\n    from ..targets.target import Target\n",
            "low/targets/target.py": "if TYPE_CHECKING:\n    import low.image.volume\n",
        },
    )
    (circle,) = circles(import_graph(tree))
    assert circle == (
        "low/image -> low/model (low/image/volume.py:2) -> low/targets (low/model/field.py:2)"
        " -> low/image (low/targets/target.py:2)"
    )


def test_imports_within_a_folder_and_of_a_root_file_are_no_circle(tmp_path: Path) -> None:
    tree = plant(
        tmp_path,
        {
            "low/__init__.py": "from .logic import go\n",
            "low/errors.py": "",
            "low/logic.py": "from .image import volume\n",
            "low/image/__init__.py": "from .volume import Volume\n",
            "low/image/volume.py": "from . import other\nfrom .. import errors\n",
            "low/image/other.py": "from .volume import Volume\nimport numpy\n",
        },
    )
    graph = import_graph(tree)
    assert set(graph["low/logic.py"]) == {"low/image"}
    assert set(graph["low/image"]) == {"low/errors.py"}
    assert circles(graph) == []


def test_two_files_of_a_root_can_be_a_circle(tmp_path: Path) -> None:
    tree = plant(tmp_path, {"low/a.py": "from . import b\n", "low/b.py": "from .a import x\n"})
    assert circles(import_graph(tree)) == [
        "low/a.py -> low/b.py (low/a.py:1) -> low/a.py (low/b.py:1)"
    ]


def test_a_planted_arrow_up_is_found(tmp_path: Path) -> None:
    files = {"low/a/b.py": "import high.c\n", "high/c.py": "from low.a import b\nimport tests\n"}
    tree = plant(tmp_path, files)
    allowed: dict[str, set[str]] = {"low": set(), "high": {"low"}, "tests": set()}
    assert sorted(forbidden_imports(tree, allowed)) == [
        "high/c.py:2 imports tests",
        "low/a/b.py:1 imports high.c",
    ]


def test_a_crowded_folder_is_found(tmp_path: Path) -> None:
    tree = plant(tmp_path, {f"low/a/{name}.py": "" for name in ("__init__", "b", "c", "d")})
    assert crowded_folders(tree, 2) == ["low/a: 3 files"]
    assert crowded_folders(tree, 3) == []

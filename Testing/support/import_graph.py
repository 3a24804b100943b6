"""The graph of who imports whom, read from the source files without importing them.

A node is a folder, or a single file where it lies directly in a package's root: there, entry points
(``logic.py``, ``__main__.py``) and foundations (``errors.py``) would otherwise be one node that
both uses every folder and is used by it.
"""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

# node -> node it imports -> the first line that does, as "file:line"
Graph = dict[str, dict[str, str]]


@dataclass
class SourceTree:
    """The modules of some packages; ``modules``: dotted name -> file."""

    packages: dict[str, Path]
    modules: dict[str, Path] = field(init=False)

    def __post_init__(self) -> None:
        self.modules = {
            _dotted(file.relative_to(folder.parent)): file
            for folder in self.packages.values()
            for file in sorted(folder.rglob("*.py"))
        }

    def place(self, module: str) -> str:
        """The path of a module's file from the folder of its package, with slashes."""
        package = module.partition(".")[0]
        file = self.modules[module].relative_to(self.packages[package].parent)
        return file.as_posix()

    def node(self, module: str) -> str:
        """The node that a module belongs to."""
        place = PurePosixPath(self.place(module))
        return str(place if len(place.parts) == 2 else place.parent)

    def imports(self, module: str) -> Iterator[tuple[str, int]]:
        """Modules that a module imports, of these packages or not, with the line.

        Wherever the import stands: in a function and under TYPE_CHECKING too.
        """
        file = self.modules[module]
        for statement in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(statement, ast.Import):
                for alias in statement.names:
                    yield alias.name, statement.lineno
            elif isinstance(statement, ast.ImportFrom):
                source = self._absolute(module, statement)
                for alias in statement.names:
                    name = f"{source}.{alias.name}"
                    yield (name if name in self.modules else source), statement.lineno

    def _absolute(self, module: str, statement: ast.ImportFrom) -> str:
        """The module after ``from``, without leading dots."""
        if not statement.level:
            return statement.module or ""
        # One dot is the module's own package: itself, if it is an __init__.
        is_package = self.modules[module].name == "__init__.py"
        parts = module.split(".")
        base = parts[: len(parts) - statement.level + is_package]
        return ".".join([*base, *([statement.module] if statement.module else [])])


def _dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def import_graph(tree: SourceTree) -> Graph:
    """Every node, with the nodes it imports."""
    graph: Graph = {tree.node(module): {} for module in tree.modules}
    for module in tree.modules:
        node = tree.node(module)
        for imported, line in tree.imports(module):
            if imported in tree.modules and tree.node(imported) != node:
                where = f"{tree.place(module)}:{line}"
                graph[node].setdefault(tree.node(imported), where)
    return graph


def circles(graph: Graph) -> list[str]:
    """A shortest circle through every node that is on one, each circle once, as readable paths.

    There is none if and only if every strongly connected component is a single node.
    """
    paths = [path for start in sorted(graph) if (path := _way_back(graph, start))]
    unique = {frozenset(path): path for path in reversed(paths)}
    return [_readable(graph, path) for path in unique.values()]


def _way_back(graph: Graph, start: str) -> list[str]:
    """The shortest way from a node to itself, without its end; [] if there is none."""
    reached = {name: [start] for name in graph[start]}
    waiting = deque(reached)
    while waiting:
        name = waiting.popleft()
        if name == start:
            return reached[name]
        for following in graph[name]:
            if following not in reached:
                reached[following] = [*reached[name], name]
                waiting.append(following)
    return []


def _readable(graph: Graph, path: list[str]) -> str:
    steps = zip(path, [*path[1:], path[0]], strict=True)
    return path[0] + "".join(f" -> {end} ({graph[start][end]})" for start, end in steps)


def forbidden_imports(tree: SourceTree, allowed: dict[str, set[str]]) -> list[str]:
    """Imports of a package by one that must not know it, as "file:line imports module".

    Args:
        tree: the packages.
        allowed: package -> packages that it may import besides itself; packages that are no key
            may be imported by nobody.
    """
    known = {*allowed, *tree.packages}
    wrong = []
    for module in tree.modules:
        package = module.partition(".")[0]
        for imported, line in tree.imports(module):
            other = imported.partition(".")[0]
            if other in known - {package} - allowed[package]:
                wrong.append(f"{tree.place(module)}:{line} imports {imported}")
    return wrong


def crowded_folders(tree: SourceTree, most: int) -> list[str]:
    """Folders that hold more Python files than ``most``, besides ``__init__.py``."""
    counts: dict[str, int] = {}
    for module, file in tree.modules.items():
        if file.name != "__init__.py":
            folder = PurePosixPath(tree.place(module)).parent.as_posix()
            counts[folder] = counts.get(folder, 0) + 1
    return [f"{folder}: {count} files" for folder, count in counts.items() if count > most]

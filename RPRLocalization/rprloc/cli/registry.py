"""Commands that other packages add to ``rprloc``.

A package adds commands with a module ``<package>/cli/commands.py`` that holds ``COMMANDS``, a
sequence of modules with ``NAME``, ``add_arguments`` and ``run``. It is found in two ways:

- installed: by its entry point in the group ``rprloc.commands``;
- not installed (a checkout on PYTHONPATH, or the folder of an extension of Slicer): because the
  package lies in a folder of ``sys.path`` and its name begins with ``rpr``.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from .arguments import Commands

GROUP = "rprloc.commands"
# Only packages of this family are looked into: reading every package of an environment is slow.
PATTERN = "rpr*/cli/commands.py"


class Command(Protocol):
    """A module of one command."""

    NAME: str

    def add_arguments(self, commands: Commands) -> None:
        """Add the parser, whose default ``command`` is the function that runs it."""

    def run(self, args: argparse.Namespace) -> int:
        """Do what the arguments say and return the exit code; raises RprLocError."""


@dataclass
class AddedCommands:
    """The commands of other packages.

    Attributes:
        commands: in the order of their packages' names.
        packages: the packages they come from.
        problems: one line for every package that is there but cannot be imported.
    """

    commands: list[Command] = field(default_factory=list)
    packages: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def added_commands() -> AddedCommands:
    """Import the commands of all other packages; one that is broken costs its own commands only."""
    added = AddedCommands()
    for name in provider_names(sys.path):
        try:
            provided: Iterable[Command] = importlib.import_module(name).COMMANDS
        except (ImportError, AttributeError) as error:
            added.problems.append(f"{name} cannot be loaded ({error})")
            continue
        added.commands.extend(provided)
        added.packages.append(name.partition(".")[0])
    return added


def provider_names(path: Iterable[str]) -> list[str]:
    """Names of the modules that hold commands, sorted; ``path``: folders to look into."""
    installed = {entry.value for entry in importlib.metadata.entry_points(group=GROUP)}
    folders = [Path(folder) for folder in dict.fromkeys(path) if Path(folder).is_dir()]
    importable = {
        ".".join(file.relative_to(folder).with_suffix("").parts)
        for folder in folders
        for file in folder.glob(PATTERN)
    }
    return sorted(installed | importable)

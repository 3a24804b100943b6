"""The commands that this package adds to ``rprloc``, which finds this file by its place."""

from __future__ import annotations

from . import check, train

COMMANDS = (train, check)

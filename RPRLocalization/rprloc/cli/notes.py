"""What the user should know although the command goes on: lines on stderr."""

from __future__ import annotations

import sys


def show_note(text: str) -> None:
    """Print one note as one line."""
    print(f"rprloc: note: {' '.join(text.split())}", file=sys.stderr)

"""Damage files of every kind that rprloc reads, many times, and count what the readers answer.

    python3 Testing/fuzz.py --inputs 100000 --seed 1

Exit code 1 if a reader fails in a way that no file may make it fail; the first defects of each
kind are printed with the damage that shows them. Needs the packages of the tests.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

from support.fuzzing.damage import Damage
from support.fuzzing.judging import DefectError, judge
from support.fuzzing.originals import Original, originals
from support.paths import ROOT

MODEL = ROOT / "RPRLocalization" / "Resources" / "Models" / "han-ct"
KINDS = ("byte", "cut", "insert", "delete", "number", "float", "integer", "line")
MOST_SHOWN = 3


def main() -> int:
    """Fuzz, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", help="only this kind of file")
    args = parser.parse_args()

    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        files = originals(Path(folder), MODEL)
        chosen = [file for file in files if args.kind in (None, file.kind)]
        defects = run(chosen, args.inputs, random.Random(args.seed))
    print(f"{args.inputs} inputs in {time.monotonic() - started:.0f} s, {defects} defects")
    return 1 if defects else 0


def run(files: list[Original], inputs: int, rng: random.Random) -> int:
    """Judge damaged files in turn; returns the number of defects."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    shown: Counter[str] = Counter()
    for number in range(inputs):
        file = files[number % len(files)]
        changes = [drawn(rng) for _ in range(rng.choice((1, 1, 2, 3)))]
        try:
            counts[file.kind][judge(file, changes)] += 1
        except DefectError as error:
            counts[file.kind]["defect"] += 1
            shown[file.kind] += 1
            if shown[file.kind] <= MOST_SHOWN:
                print(f"{changes}\n{error}\n", file=sys.stderr)
    for kind, found in counts.items():
        cells = ", ".join(f"{word} {count}" for word, count in sorted(found.items()))
        print(f"{kind:12} {cells}")
    return sum(found["defect"] for found in counts.values())


def drawn(rng: random.Random) -> Damage:
    """Draw one change, as ``damages`` does with hypothesis."""
    kind = rng.choice(KINDS)
    return Damage(kind, rng.random(), rng.randrange(1024), rng.random() < 0.25)


if __name__ == "__main__":
    sys.exit(main())

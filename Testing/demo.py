"""Locate organs in the bundled synthetic sample, or in your own CTs.

    python3 Testing/demo.py
        the sample: one reference, one query
    python3 Testing/demo.py QUERY [QUERY ...]
        your CTs, with each of the bundled templates (a folder of results per template)
    python3 Testing/demo.py --reference REF --targets TARGETS QUERY ...
        your CTs, with your own reference

Sets up a private Python environment on the first call (standard library only until then), prints a
table, and writes results.csv, Slicer markups and a picture per query to ./rprloc-results.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from environment import ROOT, EnvironmentSetupError, ensure

RESOURCES = ROOT / "RPRLocalization" / "Resources"
SAMPLE = RESOURCES / "SampleData"
TEMPLATES = RESOURCES / "Templates"
DEFAULT_OUT = "rprloc-results"
SAMPLE_PICTURE = Path("synthetic-query", "picture.png")
SAMPLE_TITLE = (
    "SYNTHETIC SAMPLE, NOT A PATIENT (made from averages over many CTs, randomly deformed)"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit code of ``rprloc locate``, or 2 if it cannot be run."""
    args, options = parse(argv)
    out = Path(args.out) if args.out else free_folder(Path(DEFAULT_OUT))
    try:
        searches = what_to_locate(args, out)
        python = ensure(["picture"])
    except (EnvironmentSetupError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130
    code = 0
    for folder, what in searches:
        writing = ["--out", str(folder), "--picture", *(["--overwrite"] if args.overwrite else [])]
        code = max(code, rprloc(python, "locate", *what, *writing, *options, *queries(args)))
    if code in (0, 1):
        print(f"\nTable, Slicer markups and pictures: {out.resolve()}", flush=True)
    if code == 0 and not args.queries:
        code = evaluate_sample(python, out, options)
    return code


def parse(argv: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """The demo's own arguments, and the options for every call of ``rprloc``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "queries", nargs="*", metavar="QUERY", help="your CTs: files or DICOM folders"
    )
    parser.add_argument("--reference", help="your annotated CT")
    parser.add_argument("--targets", help="label map or Slicer markups of the reference")
    parser.add_argument(
        "--label-ids", help='JSON file with the names of the labels: {"Mandible": 7, ...}'
    )
    parser.add_argument("--template", help="your own template instead of a reference")
    parser.add_argument(
        "--out", help=f"folder for the results (default: ./{DEFAULT_OUT}, or the next free number)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what --out holds")
    parser.add_argument("--model", help="model folder or name")
    parser.add_argument("--device", help="auto, cpu or cuda")
    parser.add_argument("--threads", help="CPU threads")
    args = parser.parse_args(argv)
    if not args.queries and (args.reference or args.template or args.targets):
        parser.error(
            "give the CTs to search after the options; without any, the bundled sample is used"
        )
    options = []
    for name in ("model", "device", "threads"):
        if getattr(args, name) is not None:
            options += [f"--{name}", getattr(args, name)]
    return args, options


def what_to_locate(args: argparse.Namespace, out: Path) -> list[tuple[Path, list[str]]]:
    """Folders of results, and the options that tell ``rprloc locate`` what to look for.

    Raises EnvironmentSetupError if the sample or the template is missing.
    """
    if not args.queries:
        names = ("reference.nii.gz", "reference.labels.nii.gz", "label_ids.json", "query.nii.gz")
        missing = [name for name in names if not (SAMPLE / name).is_file()]
        if missing:
            raise EnvironmentSetupError(
                f"the bundled sample is incomplete: {SAMPLE / missing[0]} is missing"
            )
        print(SAMPLE_TITLE, flush=True)
        return [(out, [*sample_reference(), "--synthetic"])]
    if args.reference:
        options = {
            "--reference": args.reference,
            "--targets": args.targets,
            "--label-ids": args.label_ids,
        }
        return [(out, [text for key, value in options.items() if value for text in (key, value)])]
    if args.template:
        return [(out, ["--template", args.template])]
    return [(out / path.stem, ["--template", str(path)]) for path in bundled_templates()]


def sample_reference() -> list[str]:
    """The reference of the sample, its targets and their names, as options."""
    targets = [
        "--targets",
        str(SAMPLE / "reference.labels.nii.gz"),
        "--label-ids",
        str(SAMPLE / "label_ids.json"),
    ]
    return ["--reference", str(SAMPLE / "reference.nii.gz"), *targets]


def queries(args: argparse.Namespace) -> list[str]:
    """The CTs to search."""
    return list(args.queries) or [str(SAMPLE / "query.nii.gz")]


def bundled_templates() -> list[Path]:
    """The templates that come with the models. Raises EnvironmentSetupError if there are none."""
    templates = sorted(TEMPLATES.glob("*.json"))
    if not templates:
        raise EnvironmentSetupError(f"there is no bundled template in {TEMPLATES}")
    return templates


def evaluate_sample(python: Path, out: Path, options: list[str]) -> int:
    """Compare with the exact truth of the sample, if it is there."""
    truth = SAMPLE / "query.labels.nii.gz"
    if not truth.is_file():
        return 0
    print("\nAgreement with the known truth of the synthetic sample:", flush=True)
    query = f"{SAMPLE / 'query.nii.gz'}={truth}"
    results = ["--json", str(out / "synthetic-evaluation.json"), "--overwrite"]
    code = rprloc(python, "evaluate", *sample_reference(), *results, *options, "--query", query)
    return code or draw_truth(python, out)


def draw_truth(python: Path, out: Path) -> int:
    """Draw the sample's picture again, with the truth beside the results; returns the exit code."""
    if not (out / "results.csv").is_file():
        return 0
    script = ROOT / "Testing" / "Screenshots" / "sample.py"
    command = [str(python), str(script), str(out), str(out / SAMPLE_PICTURE)]
    return subprocess.run(command, check=False).returncode


def rprloc(python: Path, *arguments: str) -> int:
    """Run ``rprloc`` in the environment and return its exit code; Ctrl-C is left to it."""
    process = subprocess.Popen([str(python), "-m", "rprloc", *arguments])
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the command heard it too, and says what is complete


def free_folder(folder: Path) -> Path:
    """``folder``, or ``folder-2``, ``folder-3``, ... : the first that is missing or empty."""
    number, choice = 1, folder
    while choice.exists() and (not choice.is_dir() or any(choice.iterdir())):
        number += 1
        choice = folder.with_name(f"{folder.name}-{number}")
    return choice


if __name__ == "__main__":
    sys.exit(main())

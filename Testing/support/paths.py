"""Where the checkout keeps what tests read."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTING = ROOT / "Testing"
SUPPORT = TESTING / "support"
SAMPLE_DATA = ROOT / "RPRLocalization" / "Resources" / "SampleData"
TRUNK_SAMPLE = ROOT / "RPRLocalization" / "Resources" / "SampleDataTrunk"
BUNDLED_MODELS = ROOT / "RPRLocalization" / "Resources" / "Models"
BUNDLED_TEMPLATES = ROOT / "RPRLocalization" / "Resources" / "Templates"
DATA = ROOT.parent / "shared" / "data"
HAN = DATA / "han"

"""For all tiers: at most two threads, and property tests draw the same examples on every run."""

from __future__ import annotations

import os

MOST_THREADS = 2
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
    os.environ.setdefault(_name, str(MOST_THREADS))
os.environ.setdefault("MPLBACKEND", "Agg")

import SimpleITK as sitk  # noqa: E402
import torch  # noqa: E402
from hypothesis import settings  # noqa: E402

torch.set_num_threads(min(MOST_THREADS, torch.get_num_threads()))
sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(
    min(MOST_THREADS, sitk.ProcessObject.GetGlobalDefaultNumberOfThreads())
)
settings.register_profile("rprloc", deadline=None, derandomize=True)
settings.load_profile("rprloc")

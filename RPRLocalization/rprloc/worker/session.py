"""What the worker keeps between requests: a loaded model, and what it learnt of references."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from ..contour.learning import learn_with_outlines
from ..errors import ModelError, is_out_of_memory, one_line
from ..image.resampling import IsotropicVolume
from ..image.volume import Volume
from ..localization.embedding import EmbeddedVolume
from ..localization.example import ReferenceFields
from ..localization.learning import Learned, learn
from ..localization.locator import Locator
from ..model.card import read_card
from ..model.devices import resolve_device
from ..model.finding import find_model
from ..model.loading import ModelPair, load_model
from ..targets.placement import UsableTargets, usable_targets
from ..targets.target import Target
from .job import Job

# Going back and forth between a few references costs nothing; a template is small.
KEPT_TEMPLATES = 4
# Fields of a whole-body CT can take gigabytes, and Slicer shares the machine.
KEPT_FIELD_BYTES = 500_000_000
Answer = TypeVar("Answer")


@dataclass(frozen=True, eq=False)
class Reference:
    """What a reference costs most time for; ``key``: of its volume."""

    key: bytes
    embedding: EmbeddedVolume
    fields: ReferenceFields


class Session:
    """One model on one device, and templates made with it.

    loader and resolver stand for ``load_model`` and ``resolve_device``, so that tests can do
    without a GPU.
    """

    def __init__(
        self,
        loader: Callable[[str | Path, torch.device], ModelPair] = load_model,
        resolver: Callable[[str], torch.device] = resolve_device,
    ) -> None:
        self._loader = loader
        self._resolver = resolver
        self._model: ModelPair | None = None
        self._folder: Path | None = None
        self._replaced: torch.device | None = None
        self._templates: OrderedDict[bytes, Learned] = OrderedDict()
        self._reference: Reference | None = None
        # CTs of the latest references, coarsely: they sharpen contours.
        self.images: OrderedDict[str, IsotropicVolume] = OrderedDict()

    def another(self) -> Session:
        """A session of the same kind that holds nothing yet."""
        return Session(self._loader, self._resolver)

    @property
    def device(self) -> torch.device | None:
        """Where the open model is; None without one."""
        return None if self._model is None else self._model.device

    def open(self, job: Job, model: str, device: str, try_again: bool = False) -> ModelPair:
        """The model on the device, loaded unless it is already.

        A GPU that fails is replaced by the CPU, which from then on stands for it, until another
        model or device is opened, or ``try_again``. Raises ModelError or DeviceError.
        """
        requested, folder = self._resolver(device), find_model(model).resolve()
        if str(requested) == "cuda":
            requested = torch.device("cuda", 0)
        loaded = self._loaded(folder)
        if loaded is not None and requested in (
            loaded.device,
            None if try_again else self._replaced,
        ):
            return loaded

        job.progress("model", f"loading the model {folder.name}")
        self.drop()
        try:
            return self._load(folder, requested)
        except Exception as error:
            reason = gpu_problem(error, requested)
            if reason is None:
                raise
        return self._fall_back(job, folder, requested, reason)

    def _loaded(self, folder: Path) -> ModelPair | None:
        """The loaded model if ``folder`` still holds it; a training may have replaced it."""
        model = self._model
        if model is None or self._folder != folder or model.card != read_card(folder):
            return None
        return model

    def on_device(self, job: Job, work: Callable[[ModelPair], Answer]) -> Answer:
        """Do ``work`` with the open model, and again on the CPU if its GPU fails.

        Raises what ``work`` raises, and ModelError without a model.
        """
        model, folder = self._model, self._folder
        if model is None or folder is None:
            raise ModelError("no model is loaded, because the CPU could not load it either")
        try:
            return work(model)
        except Exception as error:
            reason = gpu_problem(error, model.device)
            if reason is None:
                raise
        # Outside of the handler: its traceback would keep the tensors of the failed work alive.
        device = model.device
        del model
        return work(self._fall_back(job, folder, device, reason))

    def learn(
        self, job: Job, volume: Volume, targets: Sequence[Target], contours: bool = False
    ) -> Learned:
        """Learn what is marked on a reference; the same asked for again costs nothing.

        contours: also keep what carries the segments.

        Raises InputError if the reference or all of its targets cannot be used.
        """
        reference = volume_key(volume)
        key = reference + targets_key(targets) + bytes([contours])
        if key in self._templates:
            self._templates.move_to_end(key)
            return self._templates[key]

        job.progress("reference", f"learning the reference {volume.name}")
        usable = usable_targets(targets, volume)
        learned = self.on_device(
            job, lambda model: self._make(model, volume, usable, reference, contours)
        )
        self._templates[key] = learned
        while len(self._templates) > KEPT_TEMPLATES:
            self._templates.popitem(last=False)
        return learned

    def _make(
        self, model: ModelPair, volume: Volume, usable: UsableTargets, key: bytes, contours: bool
    ) -> Learned:
        """The template; the fields of the latest reference are kept for a target that is moved.

        Only in the machine's memory: a GPU computes them quickly, and has none to spare.
        """
        locator = Locator(model)
        if self._reference is None or self._reference.key != key:
            self._reference = None
            embedding = locator.embed(volume)
            with torch.inference_mode():
                fields = ReferenceFields.of(embedding)
            reference = Reference(key, embedding, fields)
            if model.device.type == "cpu" and fields.nbytes <= KEPT_FIELD_BYTES:
                self._reference = reference
        else:
            reference = self._reference
        if not contours:
            return learn(locator, volume, usable, reference.embedding, reference.fields)
        learned = learn_with_outlines(
            locator, volume, usable, reference.embedding, reference.fields
        )
        self.images.update(learned.images)
        while len(self.images) > KEPT_TEMPLATES:
            self.images.popitem(last=False)
        return learned

    def drop(self) -> None:
        """Forget the model and what was made with it, and give the memory of the GPU back."""
        self._model = None
        self._folder = None
        self._reference = None
        self._replaced = None
        self._templates.clear()
        self.images.clear()
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            torch.cuda.empty_cache()

    def _load(self, folder: Path, device: torch.device) -> ModelPair:
        model = self._loader(folder, device)
        self._model, self._folder = model, folder
        return model

    def _fall_back(self, job: Job, folder: Path, failed: torch.device, reason: str) -> ModelPair:
        job.log(f"the GPU {reason}: going on with the CPU, which is slower", "warning")
        try:
            self.drop()
        except RuntimeError as error:
            job.log(f"the GPU did not give its memory back ({one_line(error)})", "warning")
        model = self._load(folder, torch.device("cpu"))
        self._replaced = failed
        return model


def gpu_problem(error: Exception, device: torch.device) -> str | None:
    """What the GPU did, if ``error`` is its failure and not that of the input; None otherwise."""
    if device.type == "cpu" or not isinstance(error, RuntimeError):
        return None
    if is_out_of_memory(error):
        return "ran out of memory"
    if any(part in str(error) for part in ("CUDA", "cuDNN", "CUBLAS", "NVRTC")):
        return f"failed ({one_line(error)})"
    return None


def volume_key(volume: Volume) -> bytes:
    """A digest of a volume's name, notes, lattice and voxels."""
    digest = hashlib.blake2b(digest_size=32)
    digest.update(repr((volume.name, volume.notes, volume.array.shape)).encode())
    digest.update(np.ascontiguousarray(volume.geometry.ijk_to_lps).data)
    digest.update(np.ascontiguousarray(volume.array).data)
    return digest.digest()


def targets_key(targets: Sequence[Target]) -> bytes:
    """A digest of names, kinds, places and notes of targets."""
    digest = hashlib.blake2b(digest_size=32)
    for target in targets:
        places = [target.points] if target.inside is None else [target.points, target.inside]
        texts = (target.name, target.kind, target.notes)
        digest.update(repr((*texts, [len(p) for p in places])).encode())
        for points in places:
            digest.update(np.ascontiguousarray(points.xyz).data)
        if target.mask is not None:
            digest.update(repr(sorted(target.mask.look.items())).encode())
            digest.update(np.packbits(target.mask.voxels).data)
        if target.box is not None:
            digest.update(np.stack([target.box.lower, target.box.upper]).data)
    return digest.digest()

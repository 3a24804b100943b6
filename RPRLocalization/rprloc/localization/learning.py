"""From a reference and what is marked on it to a template.

Every target that can be used is learned; why another cannot is kept with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..image.volume import Volume
from ..targets.placement import LeftOut, UsableTargets
from ..targets.target import Target
from .locator import Locator
from .template import Template


@dataclass(frozen=True, eq=False)
class Learned:
    """A template, and the targets that could not be learned."""

    template: Template
    left_out: tuple[LeftOut, ...] = ()


def learn(
    locator: Locator,
    volume: Volume,
    usable: UsableTargets,
    make: Callable[[list[Target]], Template] | None = None,
) -> Learned:
    """Learn every target that can be used.

    What has to be said of the reference CT itself becomes a note of each of them, because every
    answer depends on it.

    Args:
        locator: of the model.
        volume: the reference CT.
        usable: the targets marked on it, judged by ``usable_targets``.
        make: makes the template, instead of ``locator`` (which embeds the reference first).

    Raises:
        InputError: the reference cannot be used.
    """
    of_reference = tuple(f"reference CT: {note}" for note in volume.notes)
    noted = [replace(t, notes=(*of_reference, *t.notes)) for t in usable.targets]
    if make is not None:
        return Learned(make(noted), usable.left_out)
    return Learned(locator.make_template(locator.embed(volume), noted), usable.left_out)

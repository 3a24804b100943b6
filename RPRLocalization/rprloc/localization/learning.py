"""From a reference and what is marked on it to a template.

Every target that can be used is learned; why another cannot is kept with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..image.resampling import IsotropicVolume
from ..image.volume import Volume
from ..targets.placement import LeftOut, UsableTargets
from .embedding import EmbeddedVolume
from .example import ReferenceFields
from .locator import Locator
from .template import Template


@dataclass(frozen=True, eq=False)
class Learned:
    """A template, and the targets that could not be learned.

    ``images``: CTs of references that are at hand, by their key; they sharpen contours.
    """

    template: Template
    left_out: tuple[LeftOut, ...] = ()
    images: Mapping[str, IsotropicVolume] = field(default_factory=dict)


def learn(
    locator: Locator,
    volume: Volume,
    usable: UsableTargets,
    embedding: EmbeddedVolume | None = None,
    fields: ReferenceFields | None = None,
) -> Learned:
    """Learn every target that can be used.

    What has to be said of the reference CT itself becomes a note of each of them, because every
    answer depends on it.

    Args:
        locator: of the model.
        volume: the reference CT.
        usable: the targets marked on it, judged by ``usable_targets``.
        embedding: of the reference, if it is there already.
        fields: of the embedding, if they are there already.

    Raises:
        InputError: the reference cannot be used.
    """
    embedding = locator.embed(volume) if embedding is None else embedding
    odd = [*[embedding.orientation_note] * bool(embedding.orientation_note), *volume.notes]
    of_reference = tuple(f"reference CT: {note}" for note in odd)
    noted = [replace(t, notes=(*of_reference, *t.notes)) for t in usable.targets]
    return Learned(locator.make_template(embedding, noted, fields), usable.left_out)

"""A reference learned so that its segments can be carried: its template, with outlines."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..image.volume import Volume
from ..localization.embedding import EmbeddedVolume
from ..localization.example import ReferenceFields
from ..localization.learning import Learned, learn
from ..localization.locator import Locator
from ..targets.placement import UsableTargets
from .outlines import make_outlines


def learn_with_outlines(
    locator: Locator,
    volume: Volume,
    usable: UsableTargets,
    embedding: EmbeddedVolume | None = None,
    fields: ReferenceFields | None = None,
) -> Learned:
    """As ``learn``, and the template holds the masks and control points of the segments.

    Raises InputError if the reference cannot be used, or the model has no fine network.
    """
    embedding = locator.embed(volume) if embedding is None else embedding
    if fields is None:
        with torch.inference_mode():
            fields = ReferenceFields.of(embedding)
    learned = learn(locator, volume, usable, embedding, fields)
    outlines = make_outlines(embedding, fields, usable.targets)
    if outlines is None:
        return learned
    held = {outlines.name: outlines.to_json()}
    template = replace(learned.template, outlines=held)
    return replace(learned, template=template, images={outlines.image: embedding.grids[0]})

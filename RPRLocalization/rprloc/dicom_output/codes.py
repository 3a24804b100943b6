"""Codes of targets: those of the standard where a name is known, else our own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydicom.sr.coding import Code

#: Scheme of codes that no standard has.
SCHEME: Final = "99RPRLOC"
_LONGEST_VALUE, _LONGEST_MEANING = 16, 64
#: Name without side, blanks and case -> keyword of the SNOMED CT codes in pydicom.
_KNOWN = {
    "adrenal": "AdrenalGland",
    "adrenalgland": "AdrenalGland",
    "aorta": "Aorta",
    "bladder": "Bladder",
    "urinarybladder": "Bladder",
    "brain": "Brain",
    "brainstem": "BrainStem",
    "breast": "Breast",
    "chiasm": "OpticChiasm",
    "opticchiasm": "OpticChiasm",
    "clavicle": "Clavicle",
    "clavicula": "Clavicle",
    "colon": "Colon",
    "duodenum": "Duodenum",
    "esophagus": "Esophagus",
    "oesophagus": "Esophagus",
    "eye": "Eye",
    "femoralhead": "FemoralHead",
    "femur": "Femur",
    "gallbladder": "Gallbladder",
    "heart": "Heart",
    "hip": "Hip",
    "humerus": "Humerus",
    "inferiorvenacava": "InferiorVenaCava",
    "kidney": "Kidney",
    "lacrimalgland": "LacrimalGland",
    "larynx": "Larynx",
    "lens": "Lens",
    "liver": "Liver",
    "lung": "Lung",
    "mandible": "Mandible",
    "opticnerve": "OpticNerve",
    "oralcavity": "OralCavity",
    "pancreas": "Pancreas",
    "parotid": "ParotidGland",
    "parotidgland": "ParotidGland",
    "portalvein": "PortalVein",
    "prostate": "Prostate",
    "rectum": "Rectum",
    "sacrum": "Sacrum",
    "scapula": "Scapula",
    "skull": "Skull",
    "smallbowel": "SmallIntestine",
    "spinalcord": "SpinalCord",
    "spleen": "Spleen",
    "sternum": "Sternum",
    "stomach": "Stomach",
    "submandibular": "SubmandibularGland",
    "submandibulargland": "SubmandibularGland",
    "thyroid": "Thyroid",
    "tongue": "Tongue",
    "trachea": "Trachea",
    "uterus": "Uterus",
}
_SIDES = {"left": "Left", "l": "Left", "lt": "Left", "right": "Right", "r": "Right", "rt": "Right"}


@dataclass(frozen=True)
class TargetCode:
    """What a target is, and on which side of the body; ``side`` is None where none is told."""

    code: Code
    side: Code | None
    known: bool


def code_of(name: str) -> TargetCode:
    """Return the code of a target's name.

    Example:
        >>> code_of("LeftParotid").code.meaning, code_of("LeftParotid").side.meaning
        ('Parotid gland', 'Left')
    """
    from pydicom.sr.codedict import codes

    words = _words(name)
    sides = [word for word in words if word in _SIDES]
    stem = "".join(word for word in words if word not in _SIDES)
    keyword = _KNOWN.get(stem) or _KNOWN.get(stem.removesuffix("s"))
    if keyword is None or len(sides) > 1:
        return TargetCode(own_code(name, name), None, known=False)
    side = getattr(codes.SCT, _SIDES[sides[0]]) if sides else None
    return TargetCode(getattr(codes.SCT, keyword), side, known=True)


def own_code(value: str, meaning: str) -> Code:
    """Return a code of our own scheme, within the lengths that DICOM allows."""
    from pydicom.sr.coding import Code

    kept = re.sub(r"[^A-Za-z0-9_.-]", "_", value)[:_LONGEST_VALUE] or "target"
    shown = " ".join(meaning.replace("\\", "/").split())[:_LONGEST_MEANING] or kept
    return Code(kept, SCHEME, shown)


def _words(name: str) -> list[str]:
    """Split a name at blanks, marks, and where small letters are followed by a capital."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return [word.lower() for word in re.split(r"[^A-Za-z]+", parted) if word]

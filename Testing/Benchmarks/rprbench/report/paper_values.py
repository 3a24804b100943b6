"""Figures of the paper, quoted: head and neck columns of its Tables 1 to 3."""

from __future__ import annotations

from dataclasses import dataclass

CITATION = (
    "Lei, W., Xu, W., Gu, R., Fu, H., Zhang, S., Zhang, S., Wang, G.: Contrastive Learning of "
    "Relative Position Regression for One-Shot Object Localization in 3D Medical Images. MICCAI "
    "2021."
)
REMARK = (
    "The paper's data were others: 165 head-and-neck CTs (50 of StructSeg 2019, 48 of the MICCAI "
    "2015 head and neck challenge, 67 collected locally; 109 for training, 19 for validation), "
    "resampled to 3 x 1 x 1 mm and cropped to the body, one reference image drawn from the "
    "validation set. The CTs here have voxels of about 4 x 4 x 2.5 mm. Its times were taken on "
    "other hardware (it names an NVIDIA GTX 1080 Ti for training) and are per organ. The two "
    "columns of figures can be compared within themselves; a difference between them is not one "
    "between methods."
)

Pair = tuple[float, float]


@dataclass(frozen=True)
class Quoted:
    """A row of the paper: (IoU in percent, wall distance in mm) per organ, and their mean.

    The organs are in the order of ``cohort.ORGANS``.

    ours: id of the variant measured here under the same setting. seconds: per organ, None where not
        given.
    """

    table: str
    title: str
    ours: str
    organs: tuple[Pair, Pair, Pair, Pair]
    mean: Pair
    seconds: float | None = None


_E = "Extreme points, K = "

QUOTED = (
    Quoted(
        "Table 1",
        "Diagonal points, K = 1",
        "diagonal-k1",
        ((44.5, 7.06), (32.3, 15.29), (36.5, 9.94), (35.7, 9.66)),
        (37.2, 10.49),
    ),
    Quoted(
        "Table 1",
        _E + "1",
        "coarse-k1",
        ((45.9, 6.61), (62.2, 8.04), (38.6, 9.61), (37.5, 9.09)),
        (46.1, 8.34),
    ),
    Quoted(
        "Table 1",
        _E + "5",
        "coarse-k5",
        ((49.4, 5.63), (62.7, 7.52), (41.8, 8.66), (36.8, 9.13)),
        (47.7, 7.73),
    ),
    Quoted(
        "Table 1",
        _E + "10",
        "coarse-k10",
        ((50.8, 5.34), (63.2, 7.40), (42.4, 8.73), (38.4, 8.88)),
        (48.7, 7.59),
    ),
    Quoted(
        "Table 1",
        _E + "15",
        "coarse-k15",
        ((50.7, 5.34), (63.7, 7.28), (43.1, 8.48), (38.8, 8.79)),
        (49.1, 7.48),
    ),
    Quoted(
        "Table 1",
        _E + "20",
        "coarse-k20",
        ((51.9, 5.16), (63.3, 7.45), (42.6, 8.57), (37.4, 9.03)),
        (48.8, 7.55),
    ),
    Quoted(
        "Table 2",
        "Coarse, one step",
        "ours-coarse",
        ((50.7, 5.34), (63.7, 7.28), (43.1, 8.48), (38.8, 8.79)),
        (49.1, 7.48),
    ),
    Quoted(
        "Table 2",
        "Coarse, two steps",
        "ours-coarse2",
        ((51.4, 5.30), (68.0, 6.03), (45.0, 8.23), (38.7, 8.89)),
        (50.7, 7.11),
    ),
    Quoted(
        "Table 2",
        "Coarse, three steps",
        "ours-coarse3",
        ((50.5, 5.52), (68.7, 5.79), (45.3, 8.30), (38.9, 8.81)),
        (50.9, 7.10),
    ),
    Quoted(
        "Table 2",
        "Coarse and fine",
        "ours-fine",
        ((61.5, 3.70), (70.0, 5.39), (44.8, 7.74), (44.2, 7.65)),
        (55.1, 6.12),
    ),
    Quoted(
        "Table 3",
        "RPR-Loc (coarse and fine)",
        "ours-fine",
        ((61.5, 3.70), (70.0, 5.39), (44.8, 7.74), (44.2, 7.65)),
        (55.1, 6.12),
        0.15,
    ),
    Quoted(
        "Table 3",
        "Gray scale, MSE",
        "gs-mse",
        ((39.3, 7.47), (65.7, 7.20), (39.8, 10.67), (37.1, 10.67)),
        (45.5, 9.00),
        1052,
    ),
    Quoted(
        "Table 3",
        "Gray scale, cosine",
        "gs-cosine",
        ((35.2, 7.83), (67.4, 7.10), (36.9, 11.07), (36.7, 10.30)),
        (44.1, 9.08),
        1421,
    ),
    Quoted(
        "Table 3",
        "Gray scale, NCC",
        "gs-ncc",
        ((46.9, 7.35), (58.9, 9.76), (24.3, 18.78), (23.9, 20.14)),
        (38.5, 14.01),
        4547,
    ),
    Quoted(
        "Table 3",
        "Feature map, MSE",
        "fm-mse",
        ((44.7, 6.52), (67.7, 6.88), (39.2, 10.43), (40.6, 8.79)),
        (48.1, 8.16),
        26586,
    ),
    Quoted(
        "Table 3",
        "Feature map, cosine",
        "fm-cosine",
        ((50.2, 5.91), (69.1, 5.53), (44.7, 7.97), (44.6, 8.22)),
        (52.2, 7.92),
        25976,
    ),
    Quoted(
        "Table 3",
        "Retina U-Net (supervised)",
        "detector",
        ((68.9, 3.54), (75.1, 6.17), (60.5, 5.83), (63.9, 4.75)),
        (67.1, 5.07),
        4.7,
    ),
)

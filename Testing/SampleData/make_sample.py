"""Make the synthetic sample pair (RPRLocalization/Resources/SampleData) from the OpenKBP CTs.

The repository may hold no patient CT, so this makes a patient that never was:

1. The CTs of the training folder with the longest fields of view are brought into one frame: affine
   (mutual information), then two rounds of demons registration, first to one of them, then to their
   average; after each round the frame is moved to the mean shape of all of them.
2. Their voxelwise median, only where at least 30 patients were scanned, is the average patient. The
   organs are the average of the contours of the ``val`` patients, registered to it in the same way,
   cut at the level that keeps the median organ volume.
3. The average is bent by two random smooth fields (seeded): ``reference`` and ``query``. The query
   has another voxel size, axis order and origin, and is cropped. CT-like noise goes on last. The
   organ maps are bent by the same fields, so the label maps are the exact truth.

Run (about 10 minutes of one core; --work keeps the average, and a rerun starts there):

    export PYTHONPATH=RPRLocalization
    python Testing/SampleData/make_sample.py TRAIN_FOLDER VAL_FOLDER SPLITS_JSON --out DIR

The result is deterministic for a seed and a version of SimpleITK.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from average_patient import MINIMUM_PATIENTS, Average, longest, make_average  # noqa: E402
from deform import Spread, random_affine, random_field, smallest_jacobian  # noqa: E402

from rprloc.image.body import body_mask  # noqa: E402
from rprloc.targets.markups import write_landmarks  # noqa: E402

AIR_HU = -1000
NOISE_HU = 9.0
SHARPEN = 0.7
LOWER_END_MM = 40.0
# Below it, tissue is squeezed to a fifth: no patient differs from another by that much.
LEAST_JACOBIAN = 0.2
_WORK_MM = 4.0
# Each shrinks the error several times, where a map stretches by less than half.
INVERSE_ROUNDS = 30


@dataclass(frozen=True)
class Storage:
    """How a sample is stored.

    Attributes:
        spacing: mm along i, j, k.
        axes: the LPS unit vectors of i, j, k.
        origin: the LPS position (mm) of voxel (0, 0, 0).
        cut_lower: mm cut off at the lower end of x, y, z.
        cut_upper: mm cut off at the upper end of x, y, z.
    """

    spacing: tuple[float, float, float]
    axes: tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]
    origin: tuple[float, float, float]
    cut_lower: tuple[float, float, float] = (0.0, 0.0, 0.0)
    cut_upper: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def direction(self) -> npt.NDArray[np.float64]:
        """3x3, columns are the unit vectors of i, j, k."""
        return np.array(self.axes, dtype=np.float64).T


REFERENCE = Storage((3.0, 3.0, 3.0), ((1, 0, 0), (0, 1, 0), (0, 0, 1)), (-220.0, -160.0, -420.0))
QUERY = Storage(
    (3.2, 2.5, 3.2),
    ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    (-195.5, -241.0, 1310.0),
    (10.0, 0.0, 6.0),
    (4.0, 5.0, 8.0),
)


def lattice_in(lower: npt.ArrayLike, upper: npt.ArrayLike, storage: Storage) -> sitk.Image:
    """Empty image with the voxels of ``storage`` that fill an LPS box (mm)."""
    low = np.asarray(lower, dtype=np.float64) + storage.cut_lower
    high = np.asarray(upper, dtype=np.float64) - storage.cut_upper
    spacing, direction = np.array(storage.spacing), storage.direction
    size = np.floor(np.abs(direction.T @ (high - low)) / spacing + 1e-6).astype(int)
    corner = np.where(direction.sum(axis=1) > 0, low, high)
    image = sitk.Image(size.tolist(), sitk.sitkUInt8)
    image.SetSpacing(spacing.tolist())
    image.SetDirection(direction.ravel().tolist())
    image.SetOrigin((corner + direction @ (spacing / 2)).tolist())
    return image


def random_patient(average: Average, rng: np.random.Generator, spread: Spread) -> sitk.Transform:
    """Random smooth map from points of a new patient to points of the average."""
    low, high = _extent(average.hu)
    field = random_field(rng, low - 60, high + 60, spread)
    if smallest_jacobian(field) < LEAST_JACOBIAN:
        raise ValueError("the random field folds: lower bend_mm or raise reach_mm")
    linear = random_affine(rng, (low + high) / 2, spread)
    return sitk.CompositeTransform([linear, sitk.DisplacementFieldTransform(field)])


def _extent(image: sitk.Image) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    low = np.array(image.GetOrigin())
    return low, low + np.array(image.GetSpacing()) * (np.array(image.GetSize()) - 1)


def patient_box(
    average: Average, body: sitk.Image, transform: sitk.Transform
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """LPS box (mm) of the deformed body, in slices that map wholly into the average's slab."""
    wide = Storage((_WORK_MM,) * 3, REFERENCE.axes, (0.0, 0.0, 0.0), (-30.0,) * 3, (-30.0,) * 3)
    lattice = lattice_in(*_extent(average.hu), wide)
    inside = (
        sitk.GetArrayFromImage(sitk.Resample(body, lattice, transform, sitk.sitkNearestNeighbor))
        > 0
    )
    field = sitk.TransformToDisplacementField(
        transform,
        sitk.sitkVectorFloat64,
        lattice.GetSize(),
        lattice.GetOrigin(),
        lattice.GetSpacing(),
    )
    z = lattice.GetOrigin()[2] + _WORK_MM * np.arange(lattice.GetSize()[2])
    maps_to = sitk.GetArrayViewFromImage(field)[..., 2] + z[:, None, None]
    columns = inside.any(axis=0)
    outside = (maps_to < average.slab[0]) | (maps_to > average.slab[1])
    inside[(outside & columns).any(axis=(1, 2))] = False

    voxels = np.argwhere(inside)[:, ::-1]
    origin = np.array(lattice.GetOrigin())
    # Air beside the patient, as scanners show it; none above and below.
    margin = np.array([8.0, 8.0, 0.0])
    lower = origin + _WORK_MM * voxels.min(axis=0) - margin
    upper = origin + _WORK_MM * voxels.max(axis=0) + margin
    return lower, upper


def deformed(
    average: Average,
    transform: sitk.Transform,
    storage: Storage,
    ids: dict[str, int],
    rng: np.random.Generator,
    lower_end_mm: float = LOWER_END_MM,
) -> tuple[sitk.Image, sitk.Image]:
    """CT (int16 HU) and label map (uint8) of the deformed average, stored as ``storage`` says."""
    mask = _body_of(average)
    lattice = lattice_in(*patient_box(average, mask, transform), storage)
    inside = sitk.GetArrayFromImage(sitk.Resample(mask, lattice, transform, sitk.sitkLinear)) > 0.5
    sharp = sitk.Resample(
        _sharpened(average.hu), lattice, transform, sitk.sitkBSpline, AIR_HU, sitk.sitkFloat32
    )
    hu = sitk.GetArrayFromImage(sharp) + _noise(rng, inside.shape)
    hu = np.where(inside, np.clip(hu, AIR_HU - 20, 2500), AIR_HU)
    image = sitk.GetImageFromArray(np.rint(hu).astype(np.int16))
    labels = sitk.GetImageFromArray(_labels(average, transform, lattice, ids, lower_end_mm))
    for stored in (image, labels):
        stored.CopyInformation(lattice)
        stored.SetOrigin(storage.origin)
    return image, labels


def _body_of(average: Average) -> sitk.Image:
    """1.0 in the body of the average."""
    hu = sitk.GetArrayFromImage(average.hu).astype(np.float32)
    mask = sitk.GetImageFromArray(body_mask(hu, (3.0,) * 3) * 1.0)
    mask.CopyInformation(average.hu)
    return mask


def stored_places(
    average: Average,
    transform: sitk.Transform,
    storage: Storage,
    places: Mapping[str, tuple[float, float, float]],
) -> dict[str, npt.NDArray[np.float64]]:
    """Places of the average (LPS mm) in the file that ``deformed`` gives; (3,) LPS mm each."""
    lattice = lattice_in(*patient_box(average, _body_of(average), transform), storage)
    moved = np.array(storage.origin) - np.array(lattice.GetOrigin())
    return {name: preimage(transform, place) + moved for name, place in places.items()}


def preimage(transform: sitk.Transform, place: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The point (3,) mm that a map near the identity carries to ``place``, by iteration."""
    goal = np.asarray(place, dtype=np.float64)
    point = goal.copy()
    for _ in range(INVERSE_ROUNDS):
        point = point + goal - transform.TransformPoint(point.tolist())
    return point


def _sharpened(hu: sitk.Image) -> sitk.Image:
    """Unsharp mask inside tissue: an average is softer than any of its patients."""
    plain = sitk.Cast(hu, sitk.sitkFloat32)
    return plain + SHARPEN * (plain - sitk.SmoothingRecursiveGaussian(plain, hu.GetSpacing()[0]))


def _noise(rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """CT-like noise: slightly correlated, standard deviation NOISE_HU."""
    white = sitk.GetImageFromArray(rng.standard_normal(shape))
    grain = sitk.GetArrayFromImage(sitk.DiscreteGaussian(white, 0.4))
    return np.asarray(grain * (NOISE_HU / grain.std()))


def _labels(
    average: Average,
    transform: sitk.Transform,
    lattice: sitk.Image,
    ids: dict[str, int],
    lower_end_mm: float,
) -> npt.NDArray[np.uint8]:
    """Label map of the deformed organs: the largest piece of each; of two the stronger."""
    names = [name for name in ids if name in average.organs]
    ended = [_ended(average.organs[name], average.slab[0] + lower_end_mm) for name in names]
    maps = [
        sitk.GetArrayFromImage(sitk.Resample(organ, lattice, transform, sitk.sitkLinear))
        for organ in ended
    ]
    strongest = np.argmax(maps, axis=0)
    labels = np.zeros(strongest.shape, dtype=np.uint8)
    for number, name in enumerate(names):
        labels[largest_piece((strongest == number) & (maps[number] >= 1.0))] = ids[name]
    return labels


def _ended(organ: sitk.Image, z: float) -> sitk.Image:
    """The map without what lies below ``z`` (mm)."""
    array = sitk.GetArrayFromImage(organ)
    array[: max(0, int(np.ceil((z - organ.GetOrigin()[2]) / organ.GetSpacing()[2])))] = 0.0
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(organ)
    return image


def largest_piece(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Largest connected piece of ``mask`` (z, y, x); all False if it is empty."""
    pieces = sitk.RelabelComponent(
        sitk.ConnectedComponent(sitk.GetImageFromArray(mask.astype(np.uint8)))
    )
    return np.asarray(sitk.GetArrayFromImage(pieces) == 1)


@dataclass(frozen=True)
class Region:
    """What sets the sample of a part of the body apart.

    Attributes:
        source: the text of SOURCE.md, with places for the figures.
        storages: of reference and query.
        least: patients of every voxel.
        lower_end_mm: nothing is marked in so much at the lower end.
        landmarks: LPS mm in the average.
    """

    source: Path
    storages: tuple[Storage, Storage]
    least: int
    lower_end_mm: float
    landmarks: Mapping[str, tuple[float, float, float]]


HEAD_AND_NECK = Region(
    Path(__file__).with_name("SOURCE.template.md"),
    (REFERENCE, QUERY),
    MINIMUM_PATIENTS,
    LOWER_END_MM,
    {},
)


def make_pair(
    average: Average, ids: dict[str, int], out: Path, seed: int, region: Region = HEAD_AND_NECK
) -> None:
    """Write reference and query with their label maps, the label ids and SOURCE.md into ``out``.

    Landmarks, if the region has any, go to ``<name>.landmarks.mrk.json``.
    """
    out.mkdir(parents=True, exist_ok=True)
    for number, (name, storage) in enumerate(
        zip(("reference", "query"), region.storages, strict=True)
    ):
        rng = np.random.default_rng([seed, number])
        transform = random_patient(average, rng, Spread())
        image, labels = deformed(average, transform, storage, ids, rng, region.lower_end_mm)
        sitk.WriteImage(image, str(out / f"{name}.nii.gz"), True, 9)
        sitk.WriteImage(labels, str(out / f"{name}.labels.nii.gz"), True, 9)
        if region.landmarks:
            places = stored_places(average, transform, storage, region.landmarks)
            write_landmarks(out / f"{name}.landmarks.mrk.json", "Landmarks", places)
    (out / "label_ids.json").write_text(json.dumps(ids, indent=1) + "\n", encoding="utf-8")
    contours = ", ".join(f"{name} {count}" for name, count in average.contours.items())
    text = region.source.read_text(encoding="utf-8").format(
        patients=average.patients,
        least=region.least,
        contours=contours,
        seed=seed,
        noise=NOISE_HU,
        spread=Spread(),
        end=region.lower_end_mm,
    )
    (out / "SOURCE.md").write_text(text, encoding="utf-8")


def save(average: Average, folder: Path) -> None:
    """Keep the average for a rerun; ``load`` reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(average.hu, str(folder / "average.nrrd"), True)
    for name, image in average.organs.items():
        sitk.WriteImage(image, str(folder / f"{name}.organ.nrrd"), True)
    facts = {"slab": average.slab, "patients": average.patients, "contours": average.contours}
    (folder / "average.json").write_text(json.dumps(facts), encoding="utf-8")


def load(folder: Path) -> Average | None:
    """Read an average that ``save`` wrote; None if there is none."""
    if not (folder / "average.json").exists():
        return None
    facts = json.loads((folder / "average.json").read_text(encoding="utf-8"))
    organs = {
        name: sitk.ReadImage(str(folder / f"{name}.organ.nrrd")) for name in facts["contours"]
    }
    low, high = facts["slab"]
    hu = sitk.ReadImage(str(folder / "average.nrrd"))
    return Average(hu, organs, (low, high), facts["patients"], facts["contours"])


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Make the synthetic sample pair from many CTs.")
    parser.add_argument("train", type=Path, help="folder of CTs without contours (NIfTI)")
    parser.add_argument("val", type=Path, help="folder of CTs and <case>.labels.nii.gz")
    parser.add_argument(
        "splits", type=Path, help="splits.json: label ids, complete organs of every case"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument(
        "--work",
        type=Path,
        help="folder that keeps the average; used instead of computing it again",
    )
    parser.add_argument(
        "--count", type=int, default=56, help="CTs to average, longest fields of view first (56)"
    )
    parser.add_argument(
        "--least",
        type=int,
        default=MINIMUM_PATIENTS,
        help="patients per voxel (30; less for trials)",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(argv)


def main() -> int:
    """Make the average (or take the one in --work), then the pair."""
    options = arguments()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(options.threads)
    average = load(options.work) if options.work else None
    if average is None:
        train = longest(options.train, options.count)
        average = make_average(
            train, options.val, options.splits, options.least, lambda line: print(line, flush=True)
        )
        if options.work:
            save(average, options.work)
    ids = json.loads(options.splits.read_text(encoding="utf-8"))["label_ids"]
    make_pair(average, ids, options.out, options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Parameters of requests as volumes, targets and options.

Everything is checked: the client may be any program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..geometry import Box, Frame, Geometry, Points
from ..image.volume import Volume, read_volume
from ..localization.locator import Options
from ..localization.steps import STEPS
from ..localization.template import Template
from ..targets.labelmap import LOOKS
from ..targets.markups import clean_name
from ..targets.placement import LeftOut
from ..targets.target import (
    Kind,
    Target,
    target_from_box,
    target_from_mask,
    target_from_point,
    with_look,
)
from .errors import BadRequestError

MOST_VOXELS = 2**31 - 1  # libraries count with 32 bits
LARGEST_HEADER = 10_000  # numpy's own limit; a longer header is not that of an array of numbers


def require(params: Mapping[str, Any], name: str, kind: type, what: str) -> Any:
    """The parameter ``name``, of type ``kind``; raises BadRequestError."""
    value = params.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BadRequestError(f"{name!r} is missing or is not {what}")
    return value


def volume_of(data: Any) -> Volume:
    """The CT of a VOLUME object; raises BadRequestError or InputError."""
    if not isinstance(data, dict) or ("npy" in data) == ("path" in data):
        raise BadRequestError(
            'a volume is {"npy": ..., "ijk_to_lps": ..., "name": ...} or {"path": ...}'
        )
    name = clean_name(data.get("name"))
    if "path" in data:
        volume = read_volume(_path(data, "path"))
        return replace(volume, name=name) if name else volume
    file = _path(data, "npy")
    return Volume.from_array(read_array(file), _matrix(data), name or file.stem)


def read_array(file: Path) -> NDArray[Any]:
    """The array (k, j, i) of a .npy file, mapped into memory.

    Mapping finds a file that is shorter than its header says before memory is taken. Raises
    InputError unless the array is 3D and of numbers; pickled objects are refused.
    """
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False, max_header_size=LARGEST_HEADER)
    except OSError as error:
        raise InputError(f"{file.name}: cannot be read ({error.strerror or 'damaged'})") from error
    except (ValueError, EOFError, SyntaxError, MemoryError, OverflowError) as error:
        raise InputError(f"{file.name}: not a whole .npy file of numbers") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise InputError(f"{file.name}: an archive of arrays, not one .npy file")
    if array.ndim != 3 or array.dtype.kind not in "biuf" or not 0 < array.size <= MOST_VOXELS:
        raise InputError(
            f"{file.name}: expected one 3D array of numbers, "
            f"but this is {array.dtype} {array.shape}"
        )
    return array


def targets_of(data: Any) -> tuple[list[Target], list[LeftOut]]:
    """The targets of a list of TARGET objects, and those that mark nothing (an empty mask, ...).

    Raises BadRequestError, or InputError if two have the same name or none marks anything.
    """
    if not isinstance(data, list) or not data:
        raise BadRequestError("'targets' must be a list of at least one target")
    targets: list[Target] = []
    left_out: list[LeftOut] = []
    for entry in data:
        try:
            targets.append(_target(entry))
        except InputError as error:
            kind: Kind = "landmark" if entry.get("kind") == "landmark" else "box"
            left_out.append(LeftOut(clean_name(entry["name"]), kind, f"cannot be used: {error}"))
    names = [target.name for target in targets] + [target.name for target in left_out]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two targets are called {twice!r}: give each its own name")
    if not targets:
        raise InputError(left_out[0].reason.removeprefix("cannot be used: "))
    return targets, left_out


def _target(data: Any) -> Target:
    name = clean_name(data.get("name")) if isinstance(data, dict) else ""
    if not name:
        raise BadRequestError("a target needs a name")
    kind = data.get("kind")
    if kind == "landmark" and "point_lps" in data:
        return target_from_point(
            name, Points(_numbers(data["point_lps"], (3,), f"point_lps of {name!r}")[None])
        )
    if kind == "box" and "box_lps" in data:
        return target_from_box(name, _box(data["box_lps"], name))
    if kind == "box" and "corners_lps" in data:
        corners = _numbers(data["corners_lps"], (8, 3), f"corners_lps of {name!r}")
        return target_from_box(name, _with_extent(Box.from_points(Points(corners)), name))
    if kind == "segment" and isinstance(data.get("mask"), dict):
        return with_look(_segment(data["mask"], name), _look(data, name))
    raise BadRequestError(
        f"target {name!r} is no landmark with point_lps, "
        "box with box_lps or corners_lps, or segment"
    )


def _box(data: Any, name: str) -> Box:
    if not isinstance(data, dict):
        raise BadRequestError(f"box_lps of {name!r} must have lower and upper")
    lower = _numbers(data.get("lower"), (3,), f"lower corner of {name!r}")
    upper = _numbers(data.get("upper"), (3,), f"upper corner of {name!r}")
    return _with_extent(Box(lower, upper, Frame.LPS), name)


def _with_extent(box: Box, name: str) -> Box:
    if (box.size <= 0).any():
        raise InputError(f"the box of {name!r} has no extent: draw it around the organ first")
    return box


def _segment(data: dict[str, Any], name: str) -> Target:
    mask = read_array(_path(data, "npy"))
    if mask.dtype.kind == "f":
        raise InputError(f"the mask of {name!r} must hold whole numbers or truth values")
    k, j, i = mask.shape
    return target_from_mask(
        name, np.asarray(mask != 0), Geometry.from_matrix(_matrix(data), (i, j, k))
    )


def _look(data: Mapping[str, Any], name: str) -> dict[str, str]:
    """Colour and terminology of a segment, which come back with its contours."""
    look = data.get("look", {})
    if not isinstance(look, dict) or not all(isinstance(v, str) for v in look.values()):
        raise BadRequestError(f"the look of {name!r} must be an object of texts")
    return {str(key): value for key, value in look.items() if key in LOOKS}


def wants_contours(params: Mapping[str, Any]) -> bool:
    """True if the segments are to be carried; raises BadRequestError."""
    wanted = params.get("contours", False)
    if not isinstance(wanted, bool):
        raise BadRequestError("'contours' must be true or false")
    return wanted


def template_of(data: Any) -> Template:
    """A template from its JSON object or the path of its file.

    Raises BadRequestError or TemplateError.
    """
    if isinstance(data, dict):
        return Template.from_json(data, "template")
    if isinstance(data, str) and data:
        return Template.read(data)
    raise BadRequestError("a template is its JSON object or the path of its file")


def options_of(data: Any) -> Options:
    """Options of ``locate``: steps, runs, seed.

    Raises BadRequestError for other options and for values of the wrong kind, InputError for
    numbers that make no sense.
    """
    data = {} if data is None else data
    if not isinstance(data, dict) or set(data) - {"steps", "runs", "seed"}:
        raise BadRequestError("options may hold steps, runs and seed")
    steps, runs, seed = data.get("steps", "fine"), data.get("runs"), data.get("seed", 0)
    if steps not in STEPS:
        raise BadRequestError("steps must be coarse, coarse2, coarse3 or fine")
    numbers = [seed] if runs is None else [runs, seed]
    if any(isinstance(n, bool) or not isinstance(n, int) or not 0 <= n < 2**31 for n in numbers):
        raise BadRequestError("runs and seed must be whole numbers")
    return Options(runs=runs, steps=steps, seed=seed)


def _path(data: Mapping[str, Any], name: str) -> Path:
    text = require(data, name, str, "a path")
    if not text or "\0" in text:
        raise BadRequestError(f"{name!r} is not a path")
    return Path(text)


def _matrix(data: Mapping[str, Any]) -> NDArray[np.float64]:
    return _numbers(data.get("ijk_to_lps"), (4, 4), "ijk_to_lps")


def _numbers(value: Any, shape: tuple[int, ...], what: str) -> NDArray[np.float64]:
    """Nested lists of finite numbers as an array of ``shape``; raises BadRequestError."""
    try:
        array = np.array(value)
        if array.dtype.kind in "iuf" and array.shape == shape and np.isfinite(array).all():
            return array.astype(np.float64)
    except (TypeError, ValueError):
        pass
    raise BadRequestError(f"{what} must be {' x '.join(map(str, shape))} numbers")

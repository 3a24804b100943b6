"""Networks that were written by a newer PyTorch than the one that reads them.

TorchScript writes a function of torch.nn.functional into the file as a whole, with every case that
the PyTorch of the export knew. An older PyTorch refuses the file for operators of cases that the
network never takes. Here ``interpolate`` is the only such function, and the networks use one case
of it: nearest neighbours in 3D, by a factor.
"""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

_FUNCTIONS = re.compile(r"/code/__torch__/torch/nn/functional(/___torch_mangle_\d+)?\.py$")
_INTERPOLATE = re.compile(r"^def interpolate\(.*?\) -> Tensor:\n.*?(?=^def |\Z)", re.S | re.M)
_NEAREST = """\
  if torch.ne(mode, "nearest"):
    ops.prim.RaiseException("only nearest neighbours", "builtins.ValueError")
  else:
    pass
  factor = unchecked_cast(float, scale_factor)
  return torch.upsample_nearest3d(input, None, [factor, factor, factor])
"""


def lacks_operator(error: RuntimeError) -> bool:
    """Tell whether a network was refused for an operator that this PyTorch does not know."""
    return "unknown builtin op" in str(error).lower()


def with_plain_interpolation(path: Path) -> io.BytesIO:
    """Return the TorchScript file with the one case of ``interpolate`` that the networks use.

    Weights and everything else are the file's own. Raises OSError.
    """
    changed = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if _FUNCTIONS.search(name):
                content = _INTERPOLATE.sub(_plain, content.decode()).encode()
            new.writestr(name, content)
    changed.seek(0)
    return changed


def _plain(function: re.Match[str]) -> str:
    signature = function.group().partition(" -> Tensor:\n")[0]
    return f"{signature} -> Tensor:\n{_NEAREST}"

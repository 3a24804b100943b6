"""How often a target is sought anew from the last estimate. No torch: the command line lists it."""

from __future__ import annotations

from typing import Final, Literal, get_args

#: Coarse once, twice or three times (Table 2 of the paper), or coarse and then fine.
Steps = Literal["coarse", "coarse2", "coarse3", "fine"]
STEPS: Final[tuple[Steps, ...]] = get_args(Steps)

#: Rounds of coarse votes; before ``fine`` the model's card says how many there are.
COARSE_ROUNDS: Final[dict[Steps, int]] = {"coarse": 1, "coarse2": 2, "coarse3": 3}

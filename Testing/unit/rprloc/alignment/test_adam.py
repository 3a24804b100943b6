"""Adam of one tensor."""

from __future__ import annotations

import torch

from rprloc.alignment.adam import Adam


def test_steps_are_those_of_pytorch() -> None:
    start, goal = torch.linspace(-1.0, 2.0, 12).reshape(4, 3), torch.ones(4, 3)
    ours, theirs = (start.clone().requires_grad_(True) for _ in range(2))
    own, reference = Adam(ours, (0.8, 0.95)), torch.optim.Adam([theirs], betas=(0.8, 0.95))
    for number in range(20):
        rate = 0.1 / (1 + number)
        own.step((ours - goal).pow(4).sum(), rate)
        reference.param_groups[0]["lr"] = rate
        reference.zero_grad()
        (theirs - goal).pow(4).sum().backward()
        reference.step()

    assert torch.allclose(ours, theirs, rtol=1e-6, atol=1e-7)
    assert not torch.allclose(ours, start, atol=0.1)

"""Randomness with an address: every draw comes from a seed that is a function of a place, never of what came before."""

import random
from functools import cache
from hashlib import blake2b
from typing import Any

import numpy as np
import torch


def derive_seed(*place: int | str) -> int:
    """The 64-bit seed of a place such as `(seed, "order", pass_number)`."""
    return int.from_bytes(blake2b(repr(place).encode(), digest_size=8).digest(), "little")


def generator(*place: int | str) -> torch.Generator:
    """A CPU generator of its own, seeded from a place."""
    return torch.Generator().manual_seed(derive_seed(*place))


def seed_generators(*place: int | str) -> None:
    """Sets the global generators of torch (CPU and current accelerator), `random` and NumPy from a place."""
    seed = seed_cpu_generators(*place)
    if torch.cuda.is_initialized():
        torch.cuda.default_generators[torch.cuda.current_device()].manual_seed(seed)
    elif _has_mps():
        torch.mps.manual_seed(seed)


_has_mps = cache(torch.backends.mps.is_available)


def seed_cpu_generators(*place: int | str) -> int:
    """Sets the global generators that loading samples draws from: torch's of the CPU, `random` and NumPy."""
    seed = derive_seed(*place)
    torch.default_generator.manual_seed(seed)  # 1 us; torch.manual_seed takes 85
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    return seed


def seed_own_generator(drawing: Any, *place: int | str) -> None:
    """Sets the torch generator that a sampler or a loader was given of its own, if it was."""
    own = getattr(drawing, "generator", None)
    if isinstance(own, torch.Generator):
        own.manual_seed(derive_seed(*place))


class kept_generators:
    """Within this context the CPU generators may be drawn from or seeded; afterwards they are as before."""

    def __enter__(self) -> None:
        self._states = torch.get_rng_state(), random.getstate(), np.random.get_state()

    def __exit__(self, *exception: object) -> None:
        torch.set_rng_state(self._states[0])
        random.setstate(self._states[1])
        np.random.set_state(self._states[2])

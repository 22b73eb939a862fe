"""Seeds of random numbers for one purpose, such as a layer, a task or a step: none depends on what else is drawn."""

from __future__ import annotations

from hashlib import sha256


def seed_of(*purpose: object) -> int:
    """The seed of 64 bits for what is named, whatever else has one."""
    return int.from_bytes(sha256(" ".join(map(str, purpose)).encode()).digest()[:8], "big")


def torch_seed_of(*purpose: object) -> int:
    """The same in 63 bits, which is what `torch.manual_seed` takes."""
    return seed_of(*purpose) >> 1

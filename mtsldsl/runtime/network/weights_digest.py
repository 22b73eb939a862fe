"""What tells the weights of a network from all others."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

import torch
from torch import Tensor


def digest_of_weights(state: Mapping[str, Tensor]) -> str:
    """The SHA-256 of tensors by their names, in hexadecimal."""
    found = sha256()
    for name, value in sorted(state.items()):
        found.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()

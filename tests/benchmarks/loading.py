"""The scripts of `benchmarks/` as modules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import torch

FOLDER = Path(__file__).parents[2] / "benchmarks"


@contextmanager
def loaded(name: str) -> Iterator[Any]:
    """The script as a module: `benchmarks` is no package, and another distribution may bring one of that name.

    While open, torch computes with one thread, as benchmarks do: sharing out such small tensors only takes time.
    """
    spec = spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(FOLDER)  # a script finds those beside it
        torch.set_num_threads(1)
        try:
            spec.loader.exec_module(module)
            yield module
        finally:
            torch.set_num_threads(threads)

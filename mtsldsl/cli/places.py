"""What a person may name where a spec is asked for: a file, or a run folder, which stands for its evolved spec."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mtsldsl.spec import Spec, load


def spec_at(path: Path, overrides: Mapping[str, str] | None = None) -> Spec:
    """The spec of a file, or of a run folder."""
    return load(path / "spec.mtl" if path.is_dir() else path, overrides or {})

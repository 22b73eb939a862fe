"""Spec to readable PyTorch: `plan` decides, the templates lay out, `package_files` writes. Without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtsldsl.ir.model import Spec

__all__ = ["compile_spec", "model_source"]


def compile_spec(spec: Spec) -> dict[str, str]:
    """The generated package of `spec` by file name: `__init__.py`, `model.py`, `train.py` and `manifest.json`.

    Equal specs from files of the same name give equal texts, byte for byte, on any machine.
    """
    from mtsldsl.codegen.plan import plan_spec
    from mtsldsl.codegen.rendering import render_files

    return render_files(spec, plan_spec(spec))


def model_source(spec: Spec) -> str:
    """The text of `model.py` alone."""
    from mtsldsl.codegen.plan import plan_spec
    from mtsldsl.codegen.rendering import render_model

    return render_model(plan_spec(spec))

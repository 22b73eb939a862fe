"""What a network that is chosen begins with, where it begins anew: with what the run began with, also of a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mtsldsl import build_model, load, loads
from mtsldsl.runtime.network.portable import ABOUT
from tests.methods.each_learner import run, text, visits

INIT = '  ema        = 0.5\n  init       = start("given.safetensors")\n'


@pytest.mark.parametrize("name", ["branch", pytest.param("ltb", marks=pytest.mark.soak)])
def test_a_tree_begins_with_the_weights_that_the_run_began_with(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where these were a file's, which is gone when the run goes on with it."""
    monkeypatch.chdir(tmp_path)
    visits(tmp_path)
    ours = text(name, at=2).replace("  ema        = 0.5\n", INIT)
    given = build_model(loads(text(name)))
    torch.manual_seed(0)
    with torch.no_grad():
        for place, value in given.named_parameters():
            if not place.startswith("seen."):
                value.normal_()
    save_file(given.state_dict(), "given.safetensors", {ABOUT: json.dumps({"spec": text(name)})})
    folder = run(tmp_path, ours, ends=[1], ended=Path("given.safetensors").unlink)
    spec = load(folder.spec)
    assert spec.history
    assert spec.sharing != loads(ours).sharing
    found = load_file(folder.path / "checkpoints/epoch-002/weights.safetensors")
    began = given.state_dict()
    for layer in ("seen", "wide", "both", "last"):
        for tasks in spec.sharing.partition(layer):
            copy = f"{layer}.{'+'.join(sorted(tasks))}."
            names = [each for each in found if each.startswith(copy) and "running" not in each and "num" not in each]
            assert len(names) > 1
            for each in names:
                members = [began[f"{layer}.{task}.{each.removeprefix(copy)}"] for task in tasks]
                torch.testing.assert_close(found[each], torch.stack(members).mean(0))
    heads = [each for each in found if each.startswith("heads.")]
    assert len(heads) == 6
    assert all(torch.equal(found[each], began[each]) for each in heads)
    latest = folder.latest_checkpoint()
    assert latest is not None
    assert not (latest / "beginning.safetensors").exists()

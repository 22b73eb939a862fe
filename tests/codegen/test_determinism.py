"""The same spec gives the same bytes, whatever the process, the working folder and the comments."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from mtsldsl.codegen import compile_spec
from mtsldsl.codegen.plan import plan_spec, source_name
from mtsldsl.editing import loads
from tests.codegen.examples import GOLDEN, example

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
from mtsldsl.codegen import compile_spec
from mtsldsl.editing import load
files = compile_spec(load(sys.argv[1]))
assert "torch" not in sys.modules
sys.stdout.buffer.write(repr(sorted(files.items())).encode())
"""


def test_bytes_do_not_depend_on_hash_seed_or_working_folder(tmp_path: Path) -> None:
    folder = tmp_path / "specs"
    folder.mkdir()
    spec = folder / "skips.mtl"
    spec.write_bytes((GOLDEN / "skips" / "spec.mtl").read_bytes())
    outputs = set()
    for seed, place, path in (("0", tmp_path, "specs/skips.mtl"), ("1", folder, str(spec)), ("77", ROOT, str(spec))):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        run = [sys.executable, "-c", SCRIPT, path]
        outputs.add(subprocess.run(run, cwd=place, env=environment, capture_output=True, check=True).stdout)
    assert outputs == {repr(sorted(compile_spec(example("skips")).items())).encode()}


def test_comments_and_layout_do_not_change_the_code() -> None:
    text = (GOLDEN / "tokens" / "spec.mtl").read_text(encoding="utf-8")
    changed = "# another comment\n" + text.replace("epochs    =", "epochs =")
    name = "specs/tokens.mtl"
    assert compile_spec(loads(changed, name=name)) == compile_spec(loads(text, name=name))


def test_the_manifest_lists_the_hash_of_every_file() -> None:
    files = compile_spec(example("tokens"))
    manifest = json.loads(files["manifest.json"])
    assert manifest["source"] == "specs/tokens.mtl"
    assert manifest["spec_sha256"] == plan_spec(example("tokens")).digest
    assert manifest["files"] == {
        name: sha256(text.encode()).hexdigest() for name, text in files.items() if name != "manifest.json"
    }


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("specs/nyuv2.mtl", "specs/nyuv2.mtl"),
        ("/home/someone/project/specs/nyuv2.mtl", "specs/nyuv2.mtl"),
        ("/home/someone/job.mtl", "job.mtl"),
        ("job.mtl", "job.mtl"),
        ('a"""\n\\b.mtl', "a_____b.mtl"),
    ],
)
def test_the_source_is_named_alike_on_every_machine(given: str, shown: str) -> None:
    assert source_name(given) == shown

"""A run folder is texts and tensors: byte code that lies in it is never run, nor any other file."""

from __future__ import annotations

import importlib.util
import py_compile
import shutil
from pathlib import Path

import pytest

from tests import prepared

SPEC = """\
mtl 1

data scenes {
  input  = image(3, 16, 16)
  images = 32
}

task depth {
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
}

backbone {
  stem = conv2d(4, 3, stride=2) | relu
}

train {
  epochs = 1
}
"""
EVIL = "from pathlib import Path\nPath('it_ran').touch()\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    (folder / "a.mtl").write_text(SPEC, encoding="utf-8")
    done = prepared.run("-m", "mtsldsl", "train", "a.mtl", "--quiet", "--device", "cpu", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def byte_code(source: Path) -> Path:
    """Byte code of a text that does what it should not, as Python takes it without a look at the source."""
    return Path(importlib.util.cache_from_source(str(source)))


@pytest.mark.parametrize("command", [("train", "--resume", "runs/a/1", "--quiet"), ("eval", "runs/a/1")])
def test_neither_byte_code_nor_a_module_of_the_folder_is_run(
    command: tuple[str, ...], finished: Path, tmp_path: Path
) -> None:
    job = tmp_path / "job"
    shutil.copytree(finished, job)
    code = job / "runs" / "a" / "1" / "code"
    evil = tmp_path / "evil.py"
    evil.write_text(EVIL, encoding="utf-8")
    for name in ("train", "model", "__init__", "torch", "mtsldsl", "sitecustomize"):
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(str(evil), str(byte_code(code / f"{name}.py")), doraise=True, invalidation_mode=mode)
    for name in ("torch", "mtsldsl", "usercustomize"):
        (code / f"{name}.py").write_text(EVIL, encoding="utf-8")
    done = prepared.run("-m", "mtsldsl", *command, "--device", "cpu", cwd=job)
    assert done.returncode == 0, done.stderr
    assert not (job / "it_ran").exists()
    assert not any(tmp_path.rglob("it_ran"))


def test_the_code_of_a_run_is_what_its_spec_compiles_to_when_it_goes_on(finished: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    shutil.copytree(finished, job)
    code = job / "runs" / "a" / "1" / "code"
    text = (code / "train.py").read_text(encoding="utf-8")
    (code / "train.py").write_text(EVIL + text, encoding="utf-8")
    done = prepared.run("-m", "mtsldsl", "train", "--resume", "runs/a/1", "--quiet", "--device", "cpu", cwd=job)
    assert done.returncode == 0, done.stderr
    assert not (job / "it_ran").exists()
    assert (code / "train.py").read_text(encoding="utf-8") == text


def test_the_code_of_a_run_is_no_script_of_its_own_once_the_run_has_changed(finished: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    shutil.copytree(finished, job)
    script = job / "runs" / "a" / "1" / "code" / "train.py"
    script.write_text(script.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    done = prepared.run("runs/a/1/code/train.py", "--device", "cpu", cwd=job)
    assert done.returncode == 1
    assert "MTL702" in done.stderr
    assert "mtsldsl train --resume" in done.stderr

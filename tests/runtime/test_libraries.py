"""Libraries that do not work are found before a run has a folder, and named with what is to be done."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.libraries import importing, require
from mtsldsl.sharing import Backbone
from tests import prepared
from tests.diagnostics.scenarios import broken_torchvision

ROOT = Path(__file__).parents[2]
Command: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]


def mtsldsl(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command that finds the packages of `cwd` before those that are installed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(cwd), str(ROOT)]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mtsldsl", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def broken(folder: Path, package: str, statement: str) -> None:
    (folder / package).mkdir()
    (folder / package / "__init__.py").write_text(f"{statement}\n", encoding="utf-8")


def forgetting(*packages: str) -> Command:
    """Such a command in a process that is prepared, and has not imported these packages after all."""
    program = (
        "import sys\n"
        f"for name in [each for each in sys.modules if each.partition('.')[0] in {packages}]:\n"
        "    del sys.modules[name]\n"
        "from mtsldsl.cli import main\n"
        "main(sys.argv[1:])\n"
    )
    return lambda *arguments, cwd: prepared.run("-c", program, *arguments, cwd=cwd)


def refused(*arguments: str, cwd: Path, by: Command = mtsldsl) -> str:
    done = by(*arguments, "--device", "cpu", cwd=cwd)
    assert (done.returncode, done.stdout) == (1, ""), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not (cwd / "runs").exists()
    return done.stderr


SCENES = str(ROOT / "specs" / "scenes.mtl")


@pytest.mark.soak
def test_a_torchvision_for_another_torch_ends_a_run_before_it_begins(tmp_path: Path) -> None:
    broken_torchvision(tmp_path)
    for command in (("train", SCENES, "--quiet"), ("eval", "no-such-run")):
        said = refused(*command, cwd=tmp_path)
        assert "error MTL808: `torchmetrics` cannot be imported: `torchvision`, which it imports, fails" in said
        assert "install the version of torchvision that fits torch" in said


@pytest.mark.soak
def test_a_library_of_the_report_at_the_end_is_looked_at_before_the_run_begins(tmp_path: Path) -> None:
    broken(tmp_path, "matplotlib", "raise OSError('libfreetype.so.6: cannot open shared object file')")
    said = refused("train", SCENES, "--quiet", cwd=tmp_path)
    assert "MTL808" in said
    assert "`matplotlib`" in said
    assert "libfreetype" in said


@pytest.mark.parametrize(
    ("statement", "code"),
    [("raise ImportError('none')", "MTL808"), ("raise RuntimeError('no licence')", "MTL808")],
    ids=["without a part", "broken"],
)
def test_the_solver_of_a_balance_is_looked_at_before_the_run_begins(tmp_path: Path, statement: str, code: str) -> None:
    broken(tmp_path, "cvxpy", statement)
    said = refused(
        "train", SCENES, "--quiet", "--set", "train.balance=cagrad", cwd=tmp_path, by=forgetting("cvxpy", "torchjd")
    )
    assert f"error {code}: `cvxpy` cannot be imported" in said
    assert "install the version of cvxpy" in said


@pytest.mark.parametrize(
    ("statement", "named", "remedy"),
    [
        ("import own_missing_part", "`own_missing_part`, which it imports, fails with ModuleNotFoundError", "not inst"),
        ("from torch import no_such_thing", "ImportError: cannot import name 'no_such_thing'", "install the version"),
        ("raise ValueError('numpy.dtype size changed')", "ValueError: numpy.dtype size changed", "install the version"),
        ("raise OSError('libcudart.so: cannot open')\n", "OSError: libcudart.so", "install the version"),
        (
            "import own_other_part",
            "`own_other_part`, which it imports, fails with TypeError: no",
            "own_other_part that",
        ),
    ],
    ids=["missing", "other version", "binary", "shared library", "through another"],
)
def test_whatever_a_broken_library_raises_is_reported_with_what_is_at_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str, named: str, remedy: str
) -> None:
    broken(tmp_path, "own_broken_library", statement)
    broken(tmp_path, "own_other_part", "raise TypeError('no\\nmore')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MtlError, match="MTL808: `own_broken_library` cannot be imported") as caught:
        require(("own_broken_library",))
    (found,) = caught.value.diagnostics
    assert named in found.cause
    assert remedy in found.remedy
    assert "\n" not in found.cause


def test_a_fault_of_our_own_is_not_one_of_a_library() -> None:
    with pytest.raises(ValueError, match="named twice"), importing("torchjd"):
        Backbone(("stem", "stem"), {})

"""The wheel is all that a user needs: built from the checkout, installed elsewhere, used from another folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_carries_grammar_templates_and_type_marker(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"mtsldsl/grammars/mtl.lark", "mtsldsl/py.typed", "mtsldsl/codegen/templates/model.py.jinja"} <= names
    assert "mtsldsl/runtime/run/templates/report.html.jinja" in names
    assert {f"mtsldsl/library/{path.name}" for path in (ROOT / "specs" / "library").glob("*.mtl")} <= names


def test_the_source_distribution_has_every_file_of_the_project(tmp_path: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no checkout of git, which knows the files of the project")
    command = [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        carried = {name.partition("/")[2] for name in archive.getnames()}
    assert "Makefile" in carried
    assert set(filter(None, listed.stdout.split("\0"))) <= carried


def test_an_installed_wheel_compiles_a_spec_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "environment"
    # A clean environment whose only own package is the wheel; what it needs is lent by this one.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(site)], check=True)
    packages = next(site.glob("lib/python*/site-packages"))
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(site / "bin" / "python"),
        "install",
        "--no-index",
        "--no-deps",
    ]
    subprocess.run([*install, "--quiet", str(wheel)], check=True)
    lent = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "lent.pth").write_text("\n".join(lent), encoding="utf-8")
    away = tmp_path / "away"
    away.mkdir()
    (away / "job.mtl").write_text((ROOT / "specs" / "scenes.mtl").read_text(encoding="utf-8"), encoding="utf-8")
    (away / "mine.mtl").write_text('mtl 1\nimport "mtsldsl/mlp.mtl"\n', encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = str(site / "bin" / "mtsldsl")
    subprocess.run([command, "compile", "job.mtl"], cwd=away, env=environment, check=True, capture_output=True)
    checked = subprocess.run(
        [command, "check", "mine.mtl"], cwd=away, env=environment, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert (away / "generated" / "job" / "model.py").is_file()
    where = subprocess.run(
        [str(site / "bin" / "python"), "-c", "import mtsldsl; print(mtsldsl.__file__)"],
        cwd=away, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert Path(where.stdout.strip()).is_relative_to(site), "the checkout was used, not the wheel"

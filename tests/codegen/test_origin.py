"""A package belongs to the spec that it was made from: another spec of that name does not replace it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from mtsldsl.codegen.package_files import last_compiled
from tests import prepared
from tests.codegen.examples import GOLDEN

TEXT = (GOLDEN / "awkward" / "spec.mtl").read_bytes()


@pytest.fixture(params=["project", "no project"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with two specs of one name."""
    if request.param == "project":
        (tmp_path / "pyproject.toml").touch()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "net.mtl").write_bytes(TEXT)
    return tmp_path


def compiled(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return prepared.run("-m", "mtsldsl", "compile", *arguments, cwd=cwd, errors="surrogateescape")


def package(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_the_package_of_another_spec_is_kept(place: Path) -> None:
    assert compiled("one/net.mtl", cwd=place).returncode == 0
    before = package(place / "generated" / "net")
    for further in ([], ["--check"]):
        done = compiled("two/net.mtl", *further, cwd=place)
        assert done.returncode == 1
        assert "error MTL705: generated/net holds the package of one/net.mtl" in done.stderr
    assert package(place / "generated" / "net") == before
    assert last_compiled(place / "generated") == place / "one" / "net.mtl"
    assert compiled("two/net.mtl", "-o", "generated/net2", cwd=place).returncode == 0
    assert compiled("one/net.mtl", "--check", cwd=place).returncode == 0


def test_the_same_spec_is_known_from_any_folder_and_by_any_path(place: Path) -> None:
    assert compiled("one/net.mtl", cwd=place).returncode == 0
    assert compiled("net.mtl", "-o", "../generated/net", "--check", cwd=place / "one").returncode == 0
    (place / "link").symlink_to("one")
    assert compiled("link/net.mtl", cwd=place).returncode == 0
    assert compiled(str(place / "two" / ".." / "one" / "net.mtl"), cwd=place).returncode == 0


def test_a_spec_that_was_moved_is_compiled_into_the_same_folder(place: Path) -> None:
    assert compiled("one/net.mtl", cwd=place).returncode == 0
    (place / "one" / "net.mtl").rename(place / "net.mtl")
    assert compiled("net.mtl", cwd=place).returncode == 0
    assert compiled("net.mtl", "--check", cwd=place).returncode == 0


def test_a_spec_that_was_renamed_is_compiled_into_the_same_folder(place: Path) -> None:
    assert compiled("one/net.mtl", "-o", "out", cwd=place).returncode == 0
    (place / "one" / "net.mtl").rename(place / "one" / "mesh.mtl")
    assert compiled("one/mesh.mtl", "-o", "out", cwd=place).returncode == 0


@pytest.mark.parametrize("source", [None, 3, "", "..", "\0", "x" * 5_000, "/", "../../../../../../etc/hostname"])
def test_whatever_a_manifest_names_as_its_source_is_no_spec_that_is_hurt(source: object, place: Path) -> None:
    assert compiled("one/net.mtl", cwd=place).returncode == 0
    path = place / "generated" / "net" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "source": source}), encoding="utf-8")
    done = compiled("one/net.mtl", cwd=place)
    assert "Traceback" not in done.stderr
    assert done.returncode == (1 if "MTL705" in done.stderr else 0)


def test_a_spec_whose_name_is_no_text_is_compiled(place: Path) -> None:
    name = os.fsdecode(b"b\xffd.mtl")
    (place / name).write_bytes(TEXT)
    for _ in range(2):
        assert compiled(name, "-o", "out", cwd=place).returncode == 0
    assert "nothing to change" in compiled(name, "-o", "out", cwd=place).stdout
    assert last_compiled(place) == place / name


def test_the_note_of_the_last_spec_is_no_folder_for_a_package(place: Path) -> None:
    (place / ".last-compiled.mtl").write_bytes(TEXT)
    done = compiled(".last-compiled.mtl", cwd=place)
    assert done.returncode == 2
    assert "give one with -o" in done.stderr

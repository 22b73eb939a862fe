"""Generated files on the disk: a person's own file is never lost, and what is up to date is left alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mtsldsl.codegen import compile_spec
from mtsldsl.codegen.package_files import compare, last_compiled, remember_compiled, write_files
from mtsldsl.diagnostics import MtlError
from tests.codegen.examples import example


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    return compile_spec(example("tokens"))


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_bytes().decode() for path in folder.iterdir()}


def test_what_is_written_is_what_was_compiled(files: dict[str, str], tmp_path: Path) -> None:
    assert write_files(files, tmp_path / "a" / "b") == tuple(sorted(files))
    assert contents(tmp_path / "a" / "b") == files


def test_a_second_time_nothing_is_written(files: dict[str, str], tmp_path: Path) -> None:
    write_files(files, tmp_path)
    os.utime(tmp_path / "model.py", (1, 1))
    assert write_files(files, tmp_path) == ()
    assert (tmp_path / "model.py").stat().st_mtime == 1


def test_only_what_changed_is_written(files: dict[str, str], tmp_path: Path) -> None:
    write_files(files, tmp_path)
    (tmp_path / "train.py").write_text(files["train.py"] + "# more\n", encoding="utf-8")
    assert write_files(files, tmp_path) == ("train.py",)


def test_a_file_without_the_header_is_kept_and_nothing_is_written(files: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("# my own\n", encoding="utf-8")
    (tmp_path / "manifest.json").write_text("{}", encoding="utf-8")
    with pytest.raises(MtlError) as raised:
        write_files(files, tmp_path)
    assert [found.code for found in raised.value.diagnostics] == ["MTL701", "MTL701"]
    assert all(str(tmp_path) in found.cause for found in raised.value.diagnostics)
    assert contents(tmp_path) == {"train.py": "# my own\n", "manifest.json": "{}"}


def test_what_an_older_generator_wrote_is_removed(files: dict[str, str], tmp_path: Path) -> None:
    old = {**files, "old.py": files["model.py"]}
    old["manifest.json"] = files["manifest.json"].replace('"model.py"', '"old.py": "", "../outside.py": "", "model.py"')
    folder = tmp_path / "net"
    write_files(old, folder)
    (tmp_path / "outside.py").write_text(files["model.py"], encoding="utf-8")
    assert "old.py" in compare(files, folder)
    assert write_files(files, folder) == ("manifest.json", "old.py")
    assert contents(folder) == files
    assert (tmp_path / "outside.py").exists()


def test_a_listed_file_that_a_person_replaced_is_kept(files: dict[str, str], tmp_path: Path) -> None:
    old = {**files, "old.py": files["model.py"]}
    old["manifest.json"] = files["manifest.json"].replace('"model.py"', '"old.py": "", "model.py"')
    write_files(old, tmp_path)
    (tmp_path / "old.py").write_text("# my own now\n", encoding="utf-8")
    write_files(files, tmp_path)
    assert (tmp_path / "old.py").read_text(encoding="utf-8") == "# my own now\n"


def test_the_comparison_is_empty_where_all_is_up_to_date(files: dict[str, str], tmp_path: Path) -> None:
    write_files(files, tmp_path)
    assert compare(files, tmp_path) == ""


def test_the_comparison_shows_what_compiling_would_change(files: dict[str, str], tmp_path: Path) -> None:
    write_files(files, tmp_path)
    (tmp_path / "train.py").write_text(files["train.py"].replace("EPOCHS = 2", "EPOCHS = 3"), encoding="utf-8")
    lines = compare(files, tmp_path).splitlines()
    assert lines[0] == f"--- {(tmp_path / 'train.py').as_posix()} (now)"
    assert "-EPOCHS = 3" in lines
    assert "+EPOCHS = 2" in lines


def test_a_folder_in_place_of_a_file_is_said(files: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "model.py").mkdir()
    with pytest.raises(MtlError) as raised:
        write_files(files, tmp_path)
    assert raised.value.diagnostics[0].code == "MTL703"


def test_a_file_in_place_of_the_folder_is_said(files: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "net").write_text("", encoding="utf-8")
    with pytest.raises(MtlError) as raised:
        write_files(files, tmp_path / "net")
    assert raised.value.diagnostics[0].code == "MTL703"


def test_the_spec_last_compiled_is_found_wherever_it_lies(tmp_path: Path) -> None:
    (tmp_path / "generated").mkdir()
    for folder in ("specs", "deep/er"):
        spec = tmp_path / folder / "net.mtl"
        spec.parent.mkdir(parents=True)
        spec.write_text("mtl 1\n", encoding="utf-8")
        remember_compiled(spec, tmp_path / "generated")
        assert last_compiled(tmp_path / "generated") == spec


def test_a_spec_last_compiled_that_is_gone_is_said(tmp_path: Path) -> None:
    remember_compiled(tmp_path / "gone.mtl", tmp_path)
    with pytest.raises(MtlError, match=r"gone\.mtl"):
        last_compiled(tmp_path)


def test_without_a_spec_none_was_compiled_last(tmp_path: Path) -> None:
    assert last_compiled(tmp_path / "generated") is None


@pytest.mark.parametrize(
    "name", ["a\\u0000b", "..", "", ".", "a/b.py", "a\\\\b.py", "x" * 300, "\\ud800.py", "notes.txt"]
)
def test_a_strange_name_in_a_manifest_is_left_alone(name: str, files: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("# Code generated by mtsldsl. DO NOT EDIT.\n", encoding="utf-8")
    manifest = files["manifest.json"].replace('"model.py"', f'"{name}": "", "model.py"')
    (tmp_path / "manifest.json").write_text(manifest, encoding="utf-8")
    assert "manifest.json" in compare(files, tmp_path)
    assert write_files(files, tmp_path) == tuple(sorted(files))
    assert set(contents(tmp_path)) == {*files, "notes.txt"}


def test_a_folder_that_a_manifest_lists_is_left_alone(files: dict[str, str], tmp_path: Path) -> None:
    manifest = files["manifest.json"].replace('"model.py"', '"old.py": "", "model.py"')
    (tmp_path / "manifest.json").write_text(manifest, encoding="utf-8")
    (tmp_path / "old.py").mkdir()
    write_files(files, tmp_path)
    assert (tmp_path / "old.py").is_dir()


@pytest.mark.parametrize("name", [b"b\xffd.mtl", b"two\nlines.mtl", b'"quoted".mtl', b" 12 .mtl"])
def test_the_spec_last_compiled_may_have_any_name(name: bytes, tmp_path: Path) -> None:
    spec = tmp_path / os.fsdecode(name)
    spec.write_text("mtl 1\n", encoding="utf-8")
    (tmp_path / "generated").mkdir()
    remember_compiled(spec, tmp_path / "generated")
    assert last_compiled(tmp_path / "generated") == spec


def test_a_path_that_an_older_version_noted_is_found(tmp_path: Path) -> None:
    (tmp_path / "net.mtl").write_text("mtl 1\n", encoding="utf-8")
    (tmp_path / "generated").mkdir()
    (tmp_path / "generated" / ".last-compiled").write_text("../net.mtl\n", encoding="utf-8")
    assert last_compiled(tmp_path / "generated") == tmp_path / "net.mtl"

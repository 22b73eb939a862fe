"""Checkpoints of another run in a run folder, and what a person keeps beside those of the run: nothing is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import load
from mtsldsl.runtime.run.code import Code
from mtsldsl.runtime.run.session import Session
from tests.runtime.in_process import TASKS, Unreported, rows, trained

SPEC = f"""{TASKS}
backbone {{
  stem = linear(6) | relu
  last = linear(6) | relu
}}

train {{
  epochs = 2
}}

structure mtsl {{
  phases     = [1]
  threshold  = 0
  similarity = cka(samples=40)
}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs that differ in their seeds alone, a third with a layer more."""
    folder = tmp_path_factory.mktemp("runs")
    for text in (
        SPEC,
        SPEC.replace("epochs = 2", "epochs = 2\n  seed = 7"),
        SPEC.replace("  last", "  more = stem | relu\n  last"),
    ):
        trained(folder, text)
    return folder / "runs" / "job"


@pytest.fixture
def run(folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(folder, tmp_path / "job")
    return tmp_path / "job" / "1"


def files(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("other", ["2", "3"])
def test_a_checkpoint_of_another_run_is_refused_and_nothing_is_written(other: str, run: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    shutil.copytree(run.parent / other / "checkpoints", run / "checkpoints", dirs_exist_ok=True)
    before = files(run)
    with pytest.raises(MtlError, match="is of another run") as caught:
        Session.resume(run, "cpu", "quiet")
    assert [each.code for each in caught.value.diagnostics] == ["MTL801"]
    assert files(run) == before


def test_a_record_that_no_line_ends_in_where_the_checkpoint_says_is_refused_as_well(run: Path) -> None:
    text = (run / "events.jsonl").read_bytes()
    (run / "events.jsonl").write_bytes(text.replace(b'"start"', b'"start" ', 1))
    before = files(run)
    with pytest.raises(MtlError, match=r"MTL801.*no line of"):
        Session.resume(run, "cpu", "quiet")
    assert files(run) == before


def test_what_a_person_keeps_beside_checkpoints_stays(tmp_path: Path) -> None:
    rows(tmp_path)
    (tmp_path / "job.mtl").write_text(SPEC, encoding="utf-8")
    session = Unreported.create(load(tmp_path / "job.mtl"), "job", tmp_path / "runs", "cpu", "quiet")
    kept = session.folder.checkpoints
    for name in ("mine", "backup-of-1"):
        (kept / name).mkdir()
        (kept / name / "notes.txt").write_text(name, encoding="utf-8")
    (kept / ".DS_Store").touch()
    (kept / "epoch-000").symlink_to(tmp_path)
    Code.of(session.spec).run().main(session)
    session.close()
    assert sorted(path.name for path in kept.iterdir()) == [
        ".DS_Store",
        "backup-of-1",
        "epoch-000",
        "epoch-001",
        "epoch-002",
        "mine",
    ]
    assert (kept / "mine" / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_a_name_that_is_no_utf_8_is_refused_before_anything_trains(tmp_path: Path) -> None:
    rows(tmp_path)
    (tmp_path / "job.mtl").write_text(SPEC, encoding="utf-8")
    with pytest.raises(MtlError, match=r"MTL703.*no UTF-8"):
        Unreported.create(load(tmp_path / "job.mtl"), "\udcff", tmp_path / "runs", "cpu", "quiet")
    assert not (tmp_path / "runs").exists()

"""A run folder runs no code that lies in it, and code that has changed is told of before it runs."""

from __future__ import annotations

import importlib.util
import json
import py_compile
import shutil
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.own_code import own_object
from mtsldsl.diagnostics.own_import import run_folder_of
from mtsldsl.runtime.run.best import load_run
from mtsldsl.runtime.run.session import Session
from mtsldsl.runtime.run.user_module_record import changed_file
from tests.runtime.in_process import TASKS, trained

OWN = """\
from torch import nn


class Same(nn.Module):
    def forward(self, row):
        return row
"""
EVIL = "from pathlib import Path\nPath({mark!r}).touch()\n" + OWN
SPEC = f"""{TASKS}
backbone {{
  stem = linear(6) | module("own_layers:Same", out=6)
}}

train {{
  epochs = 1
}}
"""


def forget() -> None:
    for name in ("own_layers", "person", "person.blocks", "given", "given.own_layers"):
        sys.modules.pop(name, None)


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    forget()
    yield
    forget()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a person's code, and a run of it."""
    folder = tmp_path_factory.mktemp("person")
    (folder / "own_layers.py").write_text(OWN, encoding="utf-8")
    before = list(sys.path)
    trained(folder, SPEC)
    sys.path[:] = before
    forget()
    return folder


@pytest.fixture
def given(finished: Path, tmp_path: Path) -> Path:
    """The run folder, copied to where none of the person's code is; its record says that the spec was beside it."""
    run = tmp_path / "given"
    shutil.copytree(finished / "runs" / "job" / "1", run)
    say_spec(run, "job.mtl")
    return run


def say_spec(run: Path, name: str) -> None:
    start, *others = (run / "events.jsonl").read_text(encoding="utf-8").splitlines()
    lines = [json.dumps({**json.loads(start), "spec": name}), *others]
    (run / "events.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    longer = len(lines[0]) - len(start)
    for digests in run.glob("checkpoints/*/digests.json"):
        state = digests.parent / "state.json"
        content = json.loads(state.read_text(encoding="utf-8"))
        state.write_text(json.dumps({**content, "events": content["events"] + longer}), encoding="utf-8")
        known = json.loads(digests.read_text(encoding="utf-8"))
        known["state.json"] = sha256(state.read_bytes()).hexdigest()
        digests.write_text(json.dumps(known), encoding="utf-8")


def plant(folder: Path, mark: Path) -> None:
    """Code that touches a file when it runs."""
    (folder / "own_layers.py").write_text(EVIL.format(mark=str(mark)), encoding="utf-8")


def plant_byte_code(folder: Path, mark: Path) -> None:
    """The text as it was, and beside it such byte code, as Python takes it without a look at the text."""
    plant(folder, mark)
    source = str(folder / "own_layers.py")
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(source, importlib.util.cache_from_source(source), doraise=True, invalidation_mode=mode)
    (folder / "own_layers.py").write_text(OWN, encoding="utf-8")


def resume(run: Path) -> None:
    Session.resume(run, "cpu", "quiet")


PLANTED = [plant, plant_byte_code]
OPENED = [load_run, resume]


@pytest.mark.parametrize("opened", OPENED)
@pytest.mark.parametrize("planted", PLANTED)
@pytest.mark.parametrize("where", ["working folder", "folder of the spec"])
def test_nothing_that_lies_in_a_run_folder_is_run(
    where: str,
    planted: Callable[[Path, Path], None],
    opened: Callable[[Path], object],
    given: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mark = tmp_path / "it_ran"
    place = given / "code" if where == "folder of the spec" else given
    planted(place, mark)
    if where == "working folder":
        monkeypatch.chdir(given)
    else:
        monkeypatch.chdir(tmp_path)
        say_spec(given, "given/code/job.mtl")
    with pytest.raises(MtlError) as caught:
        opened(given)
    (found,) = caught.value.diagnostics
    assert found.code == "MTL806"
    assert str(found.remedy).endswith("is in a run folder, and is not searched")
    assert not mark.exists()


@pytest.mark.parametrize("marks", [["events.jsonl"], ["best"], ["checkpoints"], []], ids=str)
def test_a_folder_is_a_run_by_whatever_code_is_run_for(marks: list[str], given: Path) -> None:
    for name in {"events.jsonl", "best", "checkpoints"}.difference(marks):
        place = given / name
        place.unlink() if place.is_file() else shutil.rmtree(place)
    assert run_folder_of(given / "code") == (given.resolve() if marks else None)


def test_a_package_that_is_a_run_folder_is_refused(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "it_ran"
    plant(given, mark)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MtlError, match="is in the run folder"):
        own_object("given.own_layers:Same", "job.mtl", None, noun="class", word="module", code="MTL806")
    assert not mark.exists()


def test_the_text_beside_byte_code_is_what_runs(finished: Path, tmp_path: Path) -> None:
    person, mark = tmp_path / "person", tmp_path / "it_ran"
    shutil.copytree(finished, person)
    say_spec(person / "runs/job/1", str(person / "job.mtl"))
    plant_byte_code(person, mark)
    load_run(person / "runs/job/1")
    assert Path(sys.modules["own_layers"].__file__ or "") == person / "own_layers.py"
    assert not mark.exists()


@pytest.mark.parametrize("opened", OPENED)
def test_what_has_changed_is_told_of_once_and_before_it_runs(
    opened: Callable[[Path], object], finished: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    person = tmp_path / "person"
    shutil.copytree(finished, person)
    say_spec(person / "runs/job/1", str(person / "job.mtl"))
    said = "import sys\nprint('it runs', file=sys.stderr)\n"
    (person / "own_layers.py").write_text(said + OWN, encoding="utf-8")
    opened(person / "runs/job/1")
    lines = capfd.readouterr().err.splitlines()
    assert [line for line in lines if "has changed since" in line or line == "it runs"] == [
        f"`own_layers:Same` is not what it was when the run started: {person / 'own_layers.py'} has changed since",
        "it runs",
    ]


def test_a_class_of_another_file_of_its_package_is_compared_by_that_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    package, mark = tmp_path / "person", tmp_path / "it_ran"
    package.mkdir()
    (package / "__init__.py").write_text(f"open({str(mark)!r}, 'w').close()\nfrom person.blocks import Same\n")
    code = package / "blocks.py"
    code.write_text(OWN)
    before = {"target": "person:Same", "file": "/elsewhere/person/blocks.py"}
    before["sha256"] = sha256(code.read_bytes()).hexdigest()
    assert changed_file(before, "job.mtl") is None
    code.write_text(OWN + "# more\n")
    assert changed_file(before, "job.mtl") == str(code)
    assert changed_file({**before, "file": str(package / "gone.py")}, "job.mtl") is None
    elsewhere = tmp_path / "blocks_of_others.py"  # where a class of another package is from
    elsewhere.write_text(OWN)
    assert changed_file({**before, "file": str(elsewhere)}, "job.mtl") is None
    elsewhere.write_text(EVIL)
    assert changed_file({**before, "file": str(elsewhere)}, "job.mtl") == str(elsewhere)
    assert changed_file({"target": 3, "file": ["person"]}, "job.mtl") is None  # which no run writes
    assert not mark.exists()

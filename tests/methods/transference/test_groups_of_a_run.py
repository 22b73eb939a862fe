"""Groups that a run chooses by what it measured, and those that a person has written into a spec."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import mtsldsl
from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import load, loads
from mtsldsl.runtime.studies.affinity import Measured, measured_for
from mtsldsl.sharing import format_row, select_groups
from tests import prepared
from tests.cli.test_train import KILLED, disturbed
from tests.methods.transference.test_runs import TEXT, trained

CHOOSING = (
    TEXT.replace("every = 2", "every  = 1\n  epochs = 2\n  groups = 2  # networks")
    .replace("epochs = 3", "epochs = 4")
    .replace("  stem = all\n  last = depth + edge, segment\n", "  stem..last = all  # together\n")
)


def command(*words: str, cwd: Path, status: int = 0) -> str:
    done = prepared.run("-m", "mtsldsl", *words, cwd=cwd)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout if status == 0 else done.stderr


def events(run: Path, kind: str) -> list[dict[str, Any]]:
    lines = (run / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("groups") / "job", CHOOSING)


def test_the_groups_are_those_that_select_groups_chooses_by_what_was_measured(run: Path) -> None:
    job = run.parents[2]
    affinity = json.loads(command("affinity", str(run), "--json", cwd=job))["affinity"]
    spec = load(run / "spec.mtl")
    row = spec.sharing["stem"]
    found = {frozenset(line.fields["tasks"]) for line in spec.history if line.kind == "group"}
    assert found == set(select_groups(affinity, 2))
    assert {each.tasks | each.helped for each in row} == found
    assert [(line.kind, line.epoch) for line in spec.history] == [("group", 2)] * len(found)
    assert [event["epoch"] for event in events(run, "look_ahead")] == [1, 2]


def test_the_line_of_a_range_keeps_its_range_and_its_comment(run: Path) -> None:
    text = (run / "spec.mtl").read_text(encoding="utf-8")
    row = format_row(load(run / "spec.mtl").sharing["stem"], ("depth", "edge", "segment"))
    assert f"  stem..last = {row}  # together\n" in text
    assert "(" in row


def test_no_task_s_output_changes_when_the_groups_are_made(run: Path) -> None:
    *_, phase = events(run, "phase")
    assert phase["accepted"]
    assert phase["before"] == phase["after"]
    losses = [event["losses"] for event in events(run, "epoch")]
    helpers = [helper.name for helper in load(run / "spec.mtl").sharing.helpers]
    assert list(losses[1]) == ["depth", "edge", "segment"]
    assert list(losses[2]) == list(losses[3]) == ["depth", "edge", "segment", *helpers]


def test_what_is_kept_as_the_best_is_the_network_without_what_helps(run: Path) -> None:
    weights = load_file(run / "best" / "mean.weights.safetensors")
    assert not any("(" in name for name in weights)
    spec, model = mtsldsl.load_run(run)
    assert spec == load(run / "spec.mtl").served() == load(run / "best" / "mean.mtl")
    assert model.state_dict().keys() == weights.keys()
    checkpoint = load_file(run / "checkpoints" / "epoch-004" / "weights.safetensors")
    assert any("(" in name for name in checkpoint)
    found = json.loads(command("eval", str(run), "--json", "--device", "cpu", cwd=run.parents[2]))
    assert found["metrics"] == events(run, "test")[0]["metrics"]


@pytest.mark.parametrize("epoch", [pytest.param(1, marks=pytest.mark.soak), 2])
def test_a_run_that_is_killed_goes_on_to_the_same_bytes(run: Path, tmp_path: Path, epoch: int) -> None:
    (tmp_path / "job.mtl").write_text(CHOOSING, encoding="utf-8")
    action = f"if training.epoch == {epoch}: {KILLED}"
    assert disturbed("train", "job.mtl", "--quiet", "--device", "cpu", action=action, cwd=tmp_path).returncode == -9
    folder = tmp_path / "runs" / "job" / "1"
    command("train", "--resume", str(folder), "--quiet", "--device", "cpu", cwd=tmp_path)
    for name in ("spec.mtl", "best/mean.mtl", "best/mean.weights.safetensors"):
        assert (folder / name).read_bytes() == (run / name).read_bytes(), name
    for name in ("weights", "optimizer", "learner"):
        place = f"checkpoints/epoch-004/{name}.safetensors"
        assert (folder / place).read_bytes() == (run / place).read_bytes(), name


def test_the_evolved_spec_trains_anew_and_measures_nothing(run: Path, tmp_path: Path) -> None:
    text = (run / "spec.mtl").read_text(encoding="utf-8")
    again = trained(tmp_path / "job", text)
    assert (again / "spec.mtl").read_text(encoding="utf-8") == text
    assert events(again, "look_ahead") == []
    assert "MTL931" in prepared.run("-m", "mtsldsl", "check", "--pedantic", "job.mtl", cwd=tmp_path / "job").stderr


@pytest.mark.parametrize("balance", ["uncertainty", pytest.param("dwa", marks=pytest.mark.soak), "pcgrad"])
def test_a_balance_weighs_what_helps_as_a_task_of_its_own(run: Path, tmp_path: Path, balance: str) -> None:
    text = (
        (run / "spec.mtl")
        .read_text(encoding="utf-8")
        .replace("  epochs = 4\n", f"  epochs = 2\n  balance = {balance}\n")
    )
    found = trained(tmp_path / "job", text, "--structure", "none")
    helpers = [helper.name for helper in load(run / "spec.mtl").sharing.helpers]
    assert [name in events(found, "epoch")[-1]["losses"] for name in helpers] == [True] * len(helpers)
    assert list(events(found, "test")[0]["metrics"]) == ["depth", "edge", "segment"]


def test_a_balance_begins_anew_where_groups_are_made(tmp_path: Path) -> None:
    found = trained(tmp_path / "job", CHOOSING.replace("  epochs = 4\n", "  epochs  = 4\n  balance = uncertainty\n"))
    helpers = [helper.name for helper in load(found / "spec.mtl").sharing.helpers]
    balance = load_file(found / "checkpoints" / "epoch-004" / "balance.safetensors")
    assert len(balance) == 3 + len(helpers)
    assert all(torch.isfinite(value).all() for value in balance.values())


# A group line is written by hand


def test_a_group_is_trained_as_a_network_of_its_tasks_alone_would_be(tmp_path: Path) -> None:
    plain = CHOOSING.replace("dropout(0.3) | ", "").replace("batch_norm", "group_norm(2)")
    parts = plain.partition("structure")[0]
    grouped = trained(tmp_path / "grouped", f"{parts}sharing {{\n  stem..last = depth + segment, (depth) + edge\n}}\n")
    segment = parts[parts.index("task segment") : parts.index("backbone")]
    alone = trained(tmp_path / "alone", f"{parts.replace(segment, '')}sharing {{\n  stem..last = all\n}}\n")
    found, expected = (load_file(each / "checkpoints/epoch-004/weights.safetensors") for each in (grouped, alone))
    for name, value in expected.items():
        mine = name.replace("depth+edge", "edge").replace("heads.depth", "heads.depth(edge)")
        torch.testing.assert_close(found[mine], value, rtol=1e-4, atol=1e-6)


# mtsldsl group


@pytest.fixture
def job(run: Path, tmp_path: Path) -> Path:
    """A folder with the job's spec, without its runs, and its measured numbers."""
    (tmp_path / "job.mtl").write_text(CHOOSING, encoding="utf-8")
    (tmp_path / "who.json").write_text(command("affinity", str(run), "--json", cwd=tmp_path), encoding="utf-8")
    return tmp_path


def test_the_command_writes_the_groups_of_a_run_its_file_or_of_numbers_alike(run: Path, job: Path) -> None:
    ways = [
        ("group", str(run), "--groups", "2"),
        ("group", "job.mtl", "--groups", "2", "--affinity", str(run)),
        ("group", "job.mtl", "--groups", "2", "--affinity", "who.json"),
    ]
    sharing = load(run / "spec.mtl").sharing
    for words in ways:
        command(*words, "-o", "found.mtl", cwd=job)
        spec = load(job / "found.mtl")
        assert spec.sharing == sharing
        assert command(*words, cwd=job).encode() == (job / "found.mtl").read_bytes()
    assert {(line.kind, line.epoch) for line in spec.history} == {("group", 2)}
    newest = command("group", "job.mtl", "--groups", "2", cwd=run.parents[2])
    assert newest.encode() == (job / "found.mtl").read_bytes()
    assert "# together" in newest


def test_the_command_may_leave_tasks_alone_where_that_is_allowed(job: Path) -> None:
    words = ("group", "job.mtl", "--affinity", "who.json", "--groups", "3", "-o", "found.mtl")
    command(*words, "--singles", "allowed", cwd=job)
    affinity = json.loads((job / "who.json").read_text(encoding="utf-8"))["affinity"]
    found = {each.tasks | getattr(each, "helped", frozenset()) if hasattr(each, "helped") else each
             for each in load(job / "found.mtl").sharing["stem"]}  # fmt: skip
    assert found == set(select_groups(affinity, 3, "allowed"))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("job.mtl", "--groups", "2"), "MTL804", "no run of job.mtl"),
        (("job.mtl", "--groups", "2", "--affinity", "job.mtl"), "MTL703", "no numbers of who helps whom"),
        (("job.mtl", "--groups", "2", "--affinity", "gone"), "MTL703", "there is no file gone"),
        (("job.mtl", "--groups", "2", "--affinity", "less.json"), "MTL804", "nothing of `segment`"),
        (("job.mtl", "--groups", "2", "--affinity", "broken.json"), "MTL703", "no numbers"),
        (("job.mtl", "--groups", "2", "--affinity", "none.json"), "MTL804", "nothing of any two"),
        (("job.mtl", "--groups", "2", "--affinity", "early.json"), "MTL703", "epoch -5"),
        (("ways.mtl", "--groups", "2", "--affinity", "who.json"), "MTL505", "alternatives"),
    ],
)
def test_the_command_says_what_is_missing_and_writes_nothing(
    job: Path, words: tuple[str, ...], code: str, said: str
) -> None:
    (job / "less.json").write_text('{"affinity": {"depth": {"edge": 1}, "edge": {"depth": 1}}}', encoding="utf-8")
    (job / "none.json").write_text(
        '{"format_version": 1, "affinity": {"depth": {"depth": 1}, "edge": {}, "segment": {}}, "curve": [{"epoch": 1}]}',
        encoding="utf-8",
    )
    (job / "broken.json").write_text('{"affinity": {"depth": {"edge": "much"}}}', encoding="utf-8")
    early = {**json.loads((job / "who.json").read_text(encoding="utf-8")), "curve": [{"epoch": -5}]}
    (job / "early.json").write_text(json.dumps(early), encoding="utf-8")
    ways = CHOOSING.partition("structure")[0].replace("conv2d(6, 3) | relu\n}", "parallel(a=relu, b=sigmoid)\n}")
    (job / "ways.mtl").write_text(ways, encoding="utf-8")
    printed = command("group", *words, "-o", "found.mtl", cwd=job, status=1)
    assert code in printed
    assert said in printed
    assert not (job / "found.mtl").exists()
    assert not (job / "runs").exists()


def test_where_no_two_tasks_share_a_layer_no_groups_are_chosen(tmp_path: Path) -> None:
    found = trained(tmp_path / "job", CHOOSING.replace("stem..last = all  # together", "stem..last = each"))
    assert not load(found / "spec.mtl").history
    *_, phase = events(found, "phase")
    assert "none share a layer" in phase["reason"]
    assert {count for event in events(found, "look_ahead") for row in event["looks"] for count in row} == {0}
    said = prepared.run("-m", "mtsldsl", "check", "--pedantic", "job.mtl", cwd=tmp_path / "job").stderr
    assert "MTL931" in said
    assert "MTL804" in command("affinity", str(found), cwd=tmp_path, status=1)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"curve": [{"epoch": 1}, {"epoch": 0}]}, "epoch 0"),
        ({"curve": [{"epoch": 1.5}]}, "epoch 1.5"),
        ({"curve": [{"epoch": True}]}, "epoch True"),
        ({"curve": [{"epoch": "2"}]}, "epoch '2'"),
        ({"curve": [{}]}, "no numbers of who helps whom"),
        ({"curve": 3}, "no numbers of who helps whom"),
        ({"format_version": 2}, "format 2 of who helps whom, and this version reads 1"),
        ({"format_version": None}, "format None"),
        ({"affinity": {"depth": {"edge": 10**400}}}, "no numbers of who helps whom"),
    ],
)
def test_a_file_that_affinity_did_not_print_is_refused(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    names = ("depth", "edge", "segment")
    rows = {one: dict.fromkeys(names, 0.5) for one in names}
    sound = {"format_version": 1, "affinity": rows, "curve": [{"epoch": 1}, {"epoch": 3}]}
    path, spec = tmp_path / "who.json", loads(CHOOSING)
    path.write_text(json.dumps(sound), encoding="utf-8")
    assert measured_for(spec, path, path) == Measured(str(path), rows, 3)
    path.write_text(json.dumps({**sound, **changed}), encoding="utf-8")
    with pytest.raises(MtlError, match=said) as caught:
        measured_for(spec, path, path)
    assert [each.code for each in caught.value.diagnostics] == ["MTL703"]


def test_the_newest_run_is_the_newest_that_measured_something(run: Path, tmp_path: Path) -> None:
    spec, place = loads(CHOOSING), Path("job.mtl")
    runs = tmp_path / "runs" / "job"
    shutil.copytree(run, runs / "1")
    (runs / "2").mkdir(parents=True)  # a run that has only begun
    (runs / "2" / "events.jsonl").touch()
    (runs / "10").mkdir()
    found = measured_for(spec, place, None, tmp_path / "runs")
    assert (found.name, found.epoch) == (str(runs / "1"), 2)


@pytest.mark.parametrize(
    "changed",
    [
        "{broken",
        {"looks": None},
        {"gained": [[None, 0.1], [0.1, None]]},
        {"gained": [["much"] * 3] * 3},
        {"looks": [[0] * 3] * 3},
    ],
)
def test_a_newest_run_with_a_damaged_record_is_named(run: Path, tmp_path: Path, changed: Any) -> None:
    spec, place = loads(CHOOSING), Path("job.mtl")
    runs = tmp_path / "runs" / "job"
    for number in ("1", "2"):
        shutil.copytree(run, runs / number)
    assert measured_for(spec, place, None, tmp_path / "runs").name == str(runs / "2")
    record = runs / "2" / "events.jsonl"
    lines = record.read_text(encoding="utf-8").splitlines()
    at = next(index for index, line in enumerate(lines) if json.loads(line)["event"] == "look_ahead")
    lines[at] = changed if isinstance(changed, str) else json.dumps({**json.loads(lines[at]), **changed})
    record.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(MtlError, match=f"line {at + 1} of .*{re.escape(str(record))}") as caught:
        measured_for(spec, place, None, tmp_path / "runs")
    assert [each.code for each in caught.value.diagnostics] == ["MTL801"]

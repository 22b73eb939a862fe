"""What people type who know other tools: it works, or says how it is written here."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from mtsldsl import __version__, load
from mtsldsl.cli import main
from mtsldsl.ir.cost import operations
from mtsldsl.ir.normal import digest
from tests.ir.specs import BODY


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spec.mtl").write_text(BODY, encoding="utf-8")


def mtsldsl(*words: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(main, words, prog_name="mtsldsl")


def test_check_and_fmt_without_a_path_mean_this_folder() -> None:
    Path("inner").mkdir()
    Path("inner/loose.mtl").write_text(BODY.replace("epochs = 4", "epochs   =   4"), encoding="utf-8")
    assert [line.partition(":")[0] for line in mtsldsl("check").stdout.splitlines()] == ["inner/loose.mtl", "spec.mtl"]
    done = mtsldsl("fmt", "--check")
    assert (done.exit_code, done.stdout) == (1, "inner/loose.mtl\n")


def test_check_is_quiet_about_what_is_sound() -> None:
    assert mtsldsl("check", "-q").output == ""
    Path("spec.mtl").write_text(BODY.replace("epochs", "epoch"), encoding="utf-8")
    assert mtsldsl("check", "-q").stderr == mtsldsl("check").stderr != ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["chek"], "Error: No such command 'chek'. Did you mean `check`?"),
        (["trian", "spec.mtl"], "Error: No such command 'trian'. Did you mean `train`?"),
        (["frobnicate"], "Error: No such command 'frobnicate'."),
        (["train", "spec.mtl", "train.epochs=1"], "(train.epochs=1); write --set train.epochs=1"),
        (["check", "--epochs", "3"], "Or write `--set train.epochs=...`."),
        (["train", "spec.mtl", "--seed=3"], "Or write `--set train.seed=...`."),
        (["fmt", "--seed", "3"], "No such option"),
        (["train", "spec.mtl", "lr=0.1", "seed=3"], "write --set 'train.optimizer=adam(lr=0.1)' --set train.seed=3"),
        (["train", "spec.mtl", "--lr", "0.1"], "Or write `--set 'train.optimizer=adam(lr=...)'`."),
        (["check", "spec.mtl", "epochs=2"], "Got unexpected extra argument (epochs=2); write --set train.epochs=2"),
        (["train", "spec.mtl", "more"], "Got unexpected extra argument (more)"),
    ],
)
def test_a_slip_is_told_how_it_is_written_here(words: list[str], said: str) -> None:
    done = mtsldsl(*words)
    assert done.exit_code == 2
    assert done.stderr.rstrip().endswith(said) or said == "No such option"
    assert said in done.stderr


def test_the_version_has_a_short_option() -> None:
    assert mtsldsl("-V").stdout == mtsldsl("--version").stdout == f"mtsldsl, version {__version__}\n"


def test_an_option_may_be_given_by_the_environment() -> None:
    assert json.loads(mtsldsl("check", MTSLDSL_CHECK_OUTPUT_FORMAT="json").stdout)


def test_the_folder_of_a_specs_runs_is_its_newest() -> None:
    for number, width in ((2, 8), (10, 24), (9, 40)):
        run = Path("runs/spec") / str(number)
        run.mkdir(parents=True)
        (run / "spec.mtl").write_text(BODY.replace("conv2d(8,", f"conv2d({width},", 1), encoding="utf-8")
    Path("runs/spec/11").mkdir()  # which has not begun
    newest = mtsldsl("show", "runs/spec/10").stdout
    assert mtsldsl("show", "runs/spec").stdout == newest
    assert newest != mtsldsl("show", "runs/spec/9").stdout
    assert mtsldsl("diff", "spec.mtl", "runs/spec").stdout == mtsldsl("diff", "spec.mtl", "runs/spec/10").stdout
    assert "is not a run folder" not in mtsldsl("log", "runs/spec").stderr
    assert mtsldsl("show", "runs").stdout == newest  # which holds the runs of one spec alone
    other = Path("runs/other/1")
    other.mkdir(parents=True)
    (other / "spec.mtl").write_text(BODY, encoding="utf-8")
    said = mtsldsl("log", "runs").stderr
    assert "is not a run folder" in said
    assert f"name one of the folders with runs in it: `{Path('runs/other')}`, `{Path('runs/spec')}`" in said


def test_a_run_is_compiled_as_its_evolved_spec_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for number, width in ((2, 8), (10, 24)):
        run = Path("runs/spec") / str(number)
        run.mkdir(parents=True)
        (run / "spec.mtl").write_text(BODY.replace("conv2d(8,", f"conv2d({width},", 1), encoding="utf-8")
        (run / "events.jsonl").touch()
    assert mtsldsl("compile", "runs/spec").stdout.startswith("generated/spec_10: __init__.py, ")
    model = Path("generated/spec_10/model.py").read_bytes()
    assert mtsldsl("compile", "runs/spec/10/spec.mtl", "--check").stdout == "generated/spec_10: up to date\n"
    assert mtsldsl("compile", "runs/spec/2").exit_code == mtsldsl("compile", "spec.mtl").exit_code == 0
    assert Path("generated/spec_10/model.py").read_bytes() == model != Path("generated/spec_2/model.py").read_bytes()
    monkeypatch.chdir("runs/spec/2")
    assert mtsldsl("compile", ".").stdout.startswith("generated/spec_2: __init__.py, ")
    assert mtsldsl("compile", "..", "-o", "here").stdout.startswith("here: __init__.py, ")
    assert Path("here/model.py").read_bytes() == model


def test_what_is_no_run_is_not_compiled_as_one() -> None:
    Path("job").mkdir()
    Path("job/spec.mtl").write_text(BODY, encoding="utf-8")
    assert mtsldsl("compile", "job").stdout.startswith("generated/spec: ")
    Path("empty").mkdir()
    done = mtsldsl("compile", "empty")
    assert (done.exit_code, "empty is a folder" in done.stderr) == (1, True)


def test_show_tells_a_program_what_it_draws() -> None:
    found = json.loads(mtsldsl("show", "spec.mtl", "--json").stdout)
    spec = load("spec.mtl")
    cost = spec.cost()
    assert (found["parameters"], found["flops"]) == (cost.parameters, cost.flops)
    assert list(found["layers"]) == [layer.name for layer in spec.layers]
    assert list(found["heads"]) == list(found["tasks"]) == [task.name for task in spec.tasks]
    assert sum(each["parameters"] for part in ("layers", "heads") for each in found[part].values()) == cost.parameters
    assert found["settings"]["train.epochs"] == "4"
    assert mtsldsl("show", "spec.mtl", "--resolved", "--json").exit_code == 2


def test_show_prints_the_whole_spec_with_its_defaults() -> None:
    words = ("show", "spec.mtl", "--set", "train.epochs=7", "--resolved")
    Path("whole.mtl").write_text(mtsldsl(*words).stdout, encoding="utf-8")
    assert mtsldsl("check", "-q", "whole.mtl").output == mtsldsl("fmt", "--check", "whole.mtl").output == ""
    assert digest(load("whole.mtl")) == digest(load("spec.mtl", {"train.epochs": "7"}))
    assert mtsldsl("show", "whole.mtl", "--resolved").stdout == Path("whole.mtl").read_text(encoding="utf-8")


def test_show_draws_a_picture_of_the_sharing() -> None:
    words = ("show", "spec.mtl", "--set", "sharing.stem=segment + depth, edge, normal", "--svg")
    assert mtsldsl(*words, "sharing.svg").stdout == "drawn: sharing.svg\n"
    drawn = Path("sharing.svg").read_text(encoding="utf-8")
    assert mtsldsl(*words, "-").stdout == drawn
    picture = ET.fromstring(drawn)
    boxes = [box.get("class") for box in picture.iter("{http://www.w3.org/2000/svg}rect")]
    assert (boxes.count("shared"), boxes.count("own"), boxes.count("head")) == (1, 2 + 4 * 4, 4)
    texts = [each.text for each in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert not re.search(r"(src|href|url)\s*[=(]", drawn)
    spec = load("spec.mtl", {"sharing.stem": "segment + depth, edge, normal"})
    assert texts[0] == f"spec.mtl: {spec.cost().parameters:,} parameters, {operations(spec.cost().flops)} a sample"
    assert {each.name for each in spec.tasks} <= {text for text in texts if text}
    for more in (["spec.mtl"], ["sharing.svg", "--json"], ["sharing.svg", "--resolved"]):
        assert mtsldsl("show", "spec.mtl", "--svg", *more).exit_code == 2
    assert Path("spec.mtl").read_text(encoding="utf-8") == BODY


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["export", "runs/spec/1", "--to", "onnx", "-o", "spec.mtl"], "no .onnx file"),
        (["export", "runs/spec/1", "--to", "safetensors", "-o", "spec.mtl"], "no .safetensors file"),
        (["log", "runs/spec/1", "--csv", "spec.mtl"], "no .csv file"),
        (["log", "runs/spec/1", "--html", "spec.mtl"], "no .html file"),
        (["show", "spec.mtl", "--svg", "spec.mtl"], "call it spec.svg"),
        (["data", "spec.mtl", "--sheet", "spec.mtl"], "call it spec.png"),
        (["predict", "runs/spec/1", "--input", "x.npz", "-o", "spec.mtl"], "does not say what to write"),
        (["diff", "spec.mtl", "spec.mtl", "--html", "spec.mtl"], "is a spec"),
        (["new", "spec.mtl", "--from", "scenes"], "MTL706"),
    ],
)
def test_no_command_writes_over_a_spec_what_is_none(words: list[str], code: str) -> None:
    done = mtsldsl(*words)
    assert done.exit_code == (1 if words[0] == "new" else 2)
    assert code in done.stderr
    assert Path("spec.mtl").read_text(encoding="utf-8") == BODY


def test_a_folder_that_is_no_run_is_said_to_be_none() -> None:
    Path("empty").mkdir()
    for words in (["show", "empty"], ["diff", "spec.mtl", "empty"], ["group", "empty", "--groups", "2"]):
        assert "empty is a folder, and no run: it has no spec.mtl" in mtsldsl(*words).stderr

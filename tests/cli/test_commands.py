"""The commands that do not compute, as processes: what they print, and their exit status."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests import prepared

ROOT = Path(__file__).parents[2]
SCENES = ROOT / "specs" / "scenes.mtl"


def run(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return prepared.run("-m", "mtsldsl", *map(str, arguments), cwd=cwd, COLUMNS="120")


@pytest.fixture
def evolved(tmp_path: Path) -> Path:
    path = tmp_path / "evolved.mtl"
    text = SCENES.read_text(encoding="utf-8")
    path.write_text(
        text + "\nsharing {\n  stem..enc1 = all\n  enc2 = segment + edge, depth, normal\n}\n", encoding="utf-8"
    )
    return path


def test_check_is_silent_about_a_sound_spec_and_exits_0() -> None:
    done = run("check", *sorted((ROOT / "specs").glob("*.mtl")))
    assert done.returncode == 0
    assert done.stderr == ""


def test_check_reports_every_problem_of_every_file_and_exits_1(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mtl"
    text = SCENES.read_text(encoding="utf-8").replace("l1", "cross_entrpy").replace("adam(lr=2e-3)", "adm")
    broken.write_text(text, encoding="utf-8")
    done = run("check", broken, SCENES)
    assert done.returncode == 1
    assert done.stderr.count("error MTL") == 2
    assert "2 problems" in done.stderr
    assert "did you mean" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["chek"], ["compile"], ["train", "--set", "nothing"], ["diff", "one.mtl"]])
def test_wrong_usage_exits_2(arguments: list[str]) -> None:
    assert run(*arguments).returncode == 2


def test_a_spec_that_is_not_there_is_a_problem_with_a_remedy(tmp_path: Path) -> None:
    done = run("check", tmp_path / "nowhere.mtl")
    assert done.returncode == 1
    assert "MTL703" in done.stderr
    assert "remedy" in done.stderr


def test_compile_writes_once_and_then_has_nothing_to_change(tmp_path: Path) -> None:
    assert "model.py" in run("compile", SCENES, "-o", tmp_path / "out").stdout
    assert "nothing to change" in run("compile", SCENES, "-o", tmp_path / "out").stdout


def test_compile_check_prints_the_difference_and_the_repair_and_exits_1(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("compile", SCENES, "-o", out)
    assert run("compile", SCENES, "-o", out, "--check").returncode == 0
    model = out / "model.py"
    model.write_text(model.read_text(encoding="utf-8").replace("bias=False", "bias=True", 1), encoding="utf-8")
    done = run("compile", SCENES, "-o", out, "--check")
    assert done.returncode == 1
    assert "-        self.conv1 = nn.Conv2d(3, 12, 3, stride=2, padding=1, bias=True)" in done.stderr
    assert "repair it with: mtsldsl compile" in done.stderr


def test_compile_never_overwrites_a_file_that_it_did_not_write(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("# mine\n", encoding="utf-8")
    done = run("compile", SCENES, "-o", tmp_path)
    assert done.returncode == 1
    assert "MTL701" in done.stderr
    assert (tmp_path / "model.py").read_text(encoding="utf-8") == "# mine\n"


def test_an_override_changes_what_is_compiled(tmp_path: Path) -> None:
    run("compile", SCENES, "-o", tmp_path, "--set", "train.epochs=99")
    assert "EPOCHS = 99" in (tmp_path / "train.py").read_text(encoding="utf-8")
    done = run("check", SCENES, "--set", "train.epocs=99")
    assert done.returncode == 1
    assert "did you mean `train.epochs`?" in done.stderr


def test_diff_exits_with_1_for_different_specs_where_it_is_asked_to(evolved: Path) -> None:
    assert run("diff", SCENES, SCENES, "--exit-code").returncode == 0
    assert run("diff", SCENES, evolved, "--exit-code").returncode == 1
    done = run("diff", SCENES, evolved)
    assert done.returncode == 0
    assert "merge   enc2  segment, depth, normal, edge  ->  segment + edge, depth, normal" in done.stdout
    assert "split   enc2" in run("diff", evolved, SCENES).stdout


def test_diff_as_json_has_the_documented_format(evolved: Path) -> None:
    printed = json.loads(run("diff", SCENES, evolved, "--json").stdout)
    assert printed["format_version"] == 1
    assert [change["layer"] for change in printed["sharing"]] == ["stem", "enc1", "enc2"]
    assert printed["sharing"][2]["from"] == [["segment"], ["depth"], ["normal"], ["edge"]]
    assert printed["sharing"][2]["to"] == [["segment", "edge"], ["depth"], ["normal"]]
    before, after = printed["cost"]["parameters"]
    assert before - after == 3 * (348 + 2640) + 8208
    assert printed["cost"]["flops"][0] > printed["cost"]["flops"][1]


def test_show_draws_shared_layers_once_and_every_head(evolved: Path) -> None:
    shown = run("show", evolved).stdout
    lines = [line.strip(" │├└─") for line in shown.splitlines()]
    assert sum(line.startswith("stem ") for line in lines) == 1
    assert sum(line.startswith("enc2 ") for line in lines) == 3
    assert sum(" head " in line for line in lines) == 4
    assert "segment + edge" in lines


def test_show_counts_as_shared_what_another_head_reads_too() -> None:
    lines = run("show", ROOT / "specs" / "library" / "ple.mtl").stdout.splitlines()
    experts, gate, level = (
        6 * 33 * 64,
        6 * 32,
        2 * 65 * 64,
    )  # of the first level, of the shared ones, shared of the second
    share = (experts + gate + level) / 34_113
    rows = {line.split()[0]: " ".join(line.split()[-2:]) for line in lines if " binary " in line}
    assert rows == dict.fromkeys(("click", "buy"), f"{100 * share:.0f} %")


def test_show_says_which_phases_a_setting_leaves_out() -> None:
    done = run("show", SCENES, "--set", "train.epochs=2")
    assert done.returncode == 0
    assert "the phases at epochs 3, 4, 6, 10 are left out: training ends at epoch 2" in done.stderr


@pytest.mark.soak
def test_train_without_a_spec_takes_the_one_last_compiled_and_says_so(tmp_path: Path) -> None:
    for path in ("specs/second.mtl", "elsewhere/first.mtl"):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text(SCENES.read_text(encoding="utf-8"), encoding="utf-8")
        run("compile", path, cwd=tmp_path)
    short = ["--set", "train.epochs=1", "--set", "data.images=32", "--structure", "none", "--sharing", "all"]
    done = run("train", "--device", "cpu", *short, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "training elsewhere/first.mtl, the spec last compiled" in done.stdout
    assert (tmp_path / "runs" / "first" / "1" / "spec.mtl").is_file()


def test_train_without_a_spec_where_none_was_compiled_is_a_usage_error(tmp_path: Path) -> None:
    done = run("train", cwd=tmp_path)
    assert done.returncode == 2
    assert "name a .mtl file" in done.stderr


def test_a_missing_data_set_is_an_error_that_says_how_to_get_it(tmp_path: Path) -> None:
    done = run("train", ROOT / "specs" / "nyuv2_small.mtl", "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 1
    assert "MTL601" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_generated_training_script_runs_by_itself(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    spec = tmp_path / "specs" / "tiny.mtl"
    text = (
        SCENES.read_text(encoding="utf-8")
        .replace("images  = 512", "images  = 32")
        .replace("epochs    = 14", "epochs    = 2")
    )
    spec.write_text(text.replace("[2, 3, 4, 6, 10]", "[1]"), encoding="utf-8")
    assert run("compile", "specs/tiny.mtl", cwd=tmp_path).returncode == 0
    done = prepared.run("-m", "generated.tiny.train", "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "tiny" / "1" / "report.html").is_file()


def test_the_compiled_bytes_do_not_depend_on_the_working_folder(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "one.mtl").write_text(SCENES.read_text(encoding="utf-8"), encoding="utf-8")
    run("compile", "specs/one.mtl", cwd=tmp_path)
    assert run("compile", "one.mtl", "-o", "../generated/one", "--check", cwd=tmp_path / "specs").returncode == 0


def test_a_training_script_alone_reports_a_users_error_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    text = (ROOT / "specs" / "nyuv2_small.mtl").read_text(encoding="utf-8").replace("data/nyuv2", "data/nowhere")
    (tmp_path / "specs" / "lost.mtl").write_text(text, encoding="utf-8")
    assert run("compile", "specs/lost.mtl", cwd=tmp_path).returncode == 0
    done = prepared.run("generated/lost/train.py", "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 1
    assert "MTL601" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_folder_without_a_checkpoint_cannot_be_resumed(tmp_path: Path) -> None:
    (tmp_path / "spec.mtl").write_text(SCENES.read_text(encoding="utf-8"), encoding="utf-8")
    done = run("train", "--resume", tmp_path)
    assert done.returncode == 1
    assert "MTL801" in done.stderr


def test_a_spec_without_a_name_never_leaves_the_folder_of_generated_code(tmp_path: Path) -> None:
    (tmp_path / "...mtl").write_text(SCENES.read_text(encoding="utf-8"), encoding="utf-8")
    done = run("compile", "...mtl", cwd=tmp_path)
    assert done.returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["...mtl"]

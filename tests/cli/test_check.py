"""`mtsldsl check` with its options, run in this process."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mtsldsl.cli import main
from tests.diagnostics.sarif import SARIF
from tests.ir.specs import BODY

MISSPELT = BODY.replace("epochs = 4", "epoch = 4   # how long").replace("batch_norm | relu", "batch_nrm | relu", 1)
DOUBTFUL = BODY + "\nlet unused = 3\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def check(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(main, ["check", *arguments], input=given)


def write(text: str, name: str = "spec.mtl") -> str:
    Path(name).write_bytes(text.encode("utf-8"))
    return name


def test_a_sound_spec_is_summed_up_and_exits_0() -> None:
    done = check(write(BODY))
    assert done.exit_code == 0
    assert done.stdout.startswith("spec.mtl: 4 tasks, 5 layers, ")
    assert done.stderr == ""


def test_problems_go_to_stderr_with_a_count_and_exit_1() -> None:
    done = check(write(MISSPELT))
    assert done.exit_code == 1
    assert done.stdout == ""
    assert "spec.mtl:36:3: error MTL104" in done.stderr
    assert done.stderr.endswith("2 problems; --fix corrects 2\n")


def test_a_file_that_cannot_be_read_does_not_keep_others_from_being_checked() -> None:
    done = check("nowhere.mtl", write(BODY))
    assert done.exit_code == 1
    assert "MTL703" in done.stderr
    assert "spec.mtl: 4 tasks" in done.stdout


def test_a_dash_reads_the_standard_input() -> None:
    done = check("-", given=MISSPELT)
    assert done.exit_code == 1
    assert "<stdin>:36:3: error MTL104" in done.stderr
    assert check("-", given=BODY).exit_code == 0


# Formats


def test_json_goes_to_stdout_alone_and_keeps_the_exit_status() -> None:
    done = check("--output-format", "json", write(MISSPELT), "nowhere.mtl")
    assert done.exit_code == 1
    assert done.stderr == ""
    content = json.loads(done.stdout)
    assert content["format_version"] == 1
    assert [(each["code"], each["file"], each["line"]) for each in content["diagnostics"]] == [
        ("MTL107", "spec.mtl", 28),
        ("MTL104", "spec.mtl", 36),
        ("MTL703", "nowhere.mtl", None),
    ]


def test_a_sound_spec_gives_an_empty_list_in_every_format() -> None:
    path = write(BODY)
    done = {form: check("--output-format", form, path) for form in ("json", "github", "sarif")}
    assert all(each.exit_code == 0 for each in done.values())
    assert json.loads(done["json"].stdout)["diagnostics"] == []
    assert done["github"].stdout == ""
    assert json.loads(done["sarif"].stdout)["runs"][0]["results"] == []


def test_github_gets_one_line_for_each_problem() -> None:
    lines = check("--output-format", "github", write(MISSPELT)).stdout.splitlines()
    assert [line.split(",")[0] for line in lines] == ["::error file=spec.mtl"] * 2


def test_sarif_fits_the_schema() -> None:
    log = json.loads(check("--output-format", "sarif", "--pedantic", write(MISSPELT), write(DOUBTFUL, "b.mtl")).stdout)
    assert list(SARIF.iter_errors(log)) == []
    assert [each["ruleId"] for each in log["runs"][0]["results"]] == ["MTL107", "MTL104", "MTL901"]


def test_another_format_is_a_usage_error() -> None:
    assert check("--output-format", "xml", write(BODY)).exit_code == 2


# Warnings


def test_warnings_are_silent_unless_asked_for_and_do_not_change_the_status() -> None:
    path = write(DOUBTFUL)
    assert check(path).stderr == ""
    done = check("--pedantic", path)
    assert done.exit_code == 0
    assert "warning MTL901" in done.stderr
    assert done.stderr.endswith("1 warning\n")
    assert "4 tasks" in done.stdout


def test_strict_warns_too_and_exits_1() -> None:
    done = check("--strict", write(DOUBTFUL))
    assert done.exit_code == 1
    assert "warning MTL901" in done.stderr
    assert check("--strict", write(BODY)).exit_code == 0


def test_a_warning_ignored_on_its_line_is_none() -> None:
    done = check("--strict", write(BODY + "\nlet unused = 3  # mtl: ignore MTL901\n"))
    assert (done.exit_code, done.stderr) == (0, "")


INCOMPLETE = BODY.replace("dec2 = resize_as(stem) | concat(stem) | conv2d(8, 3)", "dec2 = resize_as(stem) | conv2d(8)")
"""Without the kernel of `dec2`."""


def test_an_error_ignored_on_its_line_is_counted_and_not_reported() -> None:
    assert "error MTL204" in check(write(INCOMPLETE)).stderr
    path = write(INCOMPLETE.replace("conv2d(8) | relu", "conv2d(8) | relu  # mtl: ignore MTL204 not decided yet"))
    done = check(path)
    assert done.exit_code == 0
    assert done.stdout == ""
    assert done.stderr == (
        "spec.mtl: 1 problem ignored; there is no specification to compile or train until it is mended\n"
    )
    (result,) = json.loads(check("--output-format", "sarif", path).stdout)["runs"][0]["results"]
    assert (result["ruleId"], result["suppressions"]) == ("MTL204", [{"kind": "inSource"}])


def test_an_ignored_error_stops_the_other_commands_all_the_same() -> None:
    path = write(INCOMPLETE.replace("conv2d(8) | relu", "conv2d(8) | relu  # mtl: ignore MTL204"))
    done = CliRunner().invoke(main, ["compile", path])
    assert done.exit_code == 1
    assert "error MTL204" in done.stderr


def test_an_error_is_ignored_by_its_own_code_and_line_alone() -> None:
    assert "error MTL204" in check(write(INCOMPLETE + "\n# mtl: ignore MTL204\n")).stderr
    other = INCOMPLETE.replace("conv2d(8) | relu", "conv2d(8) | relu  # mtl: ignore MTL203")
    assert "error MTL204" in check(write(other)).stderr


def test_a_mistake_in_the_writing_cannot_be_ignored() -> None:
    done = check(write(BODY.replace("epochs = 4", "epochs = ;  # mtl: ignore MTL003, MTL001")))
    assert done.exit_code == 1
    assert "error MTL00" in done.stderr


def test_a_setting_counts_for_warnings() -> None:
    path = write(BODY)
    assert check("--strict", "--set", "train.optimizer=adam(lr=3)", path).exit_code == 1


# Fixes


def test_fix_corrects_what_is_misspelt_and_says_so() -> None:
    path = write(MISSPELT)
    done = check("--fix", path)
    assert done.exit_code == 0
    assert "spec.mtl:36:3: fixed MTL104: `epoch` is now `epochs`" in done.stdout
    assert "spec.mtl:28:35: fixed MTL107: `batch_nrm` is now `batch_norm`" in done.stdout
    assert done.stderr == ""
    assert Path(path).read_text(encoding="utf-8") == BODY.replace("epochs = 4", "epochs = 4   # how long")


def test_fix_leaves_a_sound_file_as_it_is() -> None:
    path = write(BODY)
    before = Path(path).stat()
    assert check("--fix", path).exit_code == 0
    after = Path(path).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_fix_keeps_line_endings_byte_order_mark_mode_and_comments() -> None:
    text = "\ufeff" + MISSPELT.replace("\n", "\r\n") + "# the end, and no line end"
    path = Path(write(text))
    path.chmod(0o640)
    assert check("--fix", str(path)).exit_code == 0
    wanted = text.replace("epoch = 4", "epochs = 4").replace("batch_nrm", "batch_norm")
    assert path.read_bytes() == wanted.encode("utf-8")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_fix_leaves_what_could_mean_several_things_and_exits_1() -> None:
    text = BODY.replace("epochs = 4", "epochs = 4\n  optimizer = adamm\n  sed = 3")
    path = write(text)
    done = check("--fix", path)
    assert done.exit_code == 1
    assert Path(path).read_text(encoding="utf-8") == text.replace("sed = 3", "seed = 3")
    assert "did you mean `adam` or `adamw`?" in done.stderr


def test_fix_goes_on_to_what_a_fix_lets_it_see() -> None:
    text = BODY.replace("epochs = 4", "epochs = 4\n  optimizer = sdg(momentm=0.9)")
    path = write(text)
    done = check("--fix", path)
    assert done.exit_code == 0
    assert "optimizer = sgd(momentum=0.9)" in Path(path).read_text(encoding="utf-8")


def test_fix_is_not_made_where_it_does_not_leave_fewer_problems() -> None:
    text = BODY.replace("epochs = 4", "epochs = 4\n  epoch = 5")  # as `epochs` it would be given twice
    path = write(text)
    done = check("--fix", path)
    assert done.exit_code == 1
    assert Path(path).read_text(encoding="utf-8") == text


def test_fix_makes_the_good_fixes_where_another_is_not() -> None:
    text = BODY.replace("epochs = 4", "epochs = 4\n  epoch = 5\n  sed = 3")
    path = write(text)
    assert check("--fix", path).exit_code == 1
    assert Path(path).read_text(encoding="utf-8") == text.replace("sed = 3", "seed = 3")


def test_fix_works_beside_mistakes_in_the_writing() -> None:
    text = MISSPELT.replace("input = image", "input = = image")
    path = write(text)
    done = check("--fix", path)
    assert done.exit_code == 1
    assert "epochs = 4" in Path(path).read_text(encoding="utf-8")
    assert done.stderr.count("error MTL") == 1


FOREIGN = """\
mtl 1

data scenes {
  input_shape = image(3, 32, 32)  # as in Keras
  batch_size  = 8
}

task depth {
  target    = values(1)
  head      = Conv2d(filters=1, kernel=1) | resize_as(image)
  criterion = mae  # as in LibMTL
  metrics   = [absrel, mean_absolute_error]
}

backbone {
  stem = conv(8, 3, stride=2) | bn | ReLU
}

train {
  num_epochs   = 1
  optim        = Adam(learning_rate=1e-3)
  lr_scheduler = CosineAnnealingLR
}
"""


def test_fix_translates_the_names_of_other_tools_and_keeps_every_other_character() -> None:
    path = write(FOREIGN)
    done = check("--fix", path)
    assert done.stderr == ""
    assert done.exit_code == 0
    text = FOREIGN
    for theirs, ours in (
        ("input_shape", "input"), ("batch_size", "batch"), ("Conv2d(filters=1, kernel=1)", "conv2d(out_channels=1, kernel_size=1)"),
        ("criterion = mae", "loss = l1"), ("absrel", "abs_rel"), ("mean_absolute_error", "mae"), ("conv(8", "conv2d(8"),
        ("| bn | ReLU", "| batch_norm | relu"), ("num_epochs", "epochs"), ("optim ", "optimizer "),
        ("Adam(learning_rate", "adam(lr"), ("lr_scheduler", "scheduler"), ("CosineAnnealingLR", "cosine"),
    ):  # fmt: skip
        assert theirs in text
        text = text.replace(theirs, ours)
    assert Path(path).read_text(encoding="utf-8") == text


def test_fix_is_made_where_it_lets_a_mistake_be_seen_that_it_hid() -> None:
    path = write(BODY.replace("epochs = 4", "num_epochs = 0"))
    done = check("--fix", path)
    assert "fixed MTL104: `num_epochs` is now `epochs`" in done.stdout
    assert "error MTL202" in done.stderr


def test_fix_tells_other_programs_what_it_did() -> None:
    content = json.loads(check("--fix", "--output-format", "json", write(MISSPELT)).stdout)
    assert content["summary"] == {"errors": 0, "warnings": 0, "fixed": 2, "ignored": 0}
    assert {each["fix"]["edits"][0]["text"] for each in content["fixed"]} == {"epochs", "batch_norm"}


def test_fix_never_edits_a_file_that_is_only_imported() -> None:
    write("mtl 1\nblock b(c) = conv2d(c, 3) | rellu\n", "blocks.mtl")
    path = write('mtl 1\nimport "blocks.mtl"\n' + BODY.removeprefix("mtl 1\n"))
    before = Path("blocks.mtl").read_bytes()
    done = check("--fix", path)
    assert done.exit_code == 1
    assert Path("blocks.mtl").read_bytes() == before


@pytest.mark.parametrize("arguments", [["--fix", "-"], ["--fix", "--set", "train.epochs=2", "spec.mtl"]])
def test_fix_needs_a_file_and_no_setting(arguments: list[str]) -> None:
    write(BODY)
    assert check(*arguments, given=BODY).exit_code == 2


def test_a_fix_of_an_imported_file_is_not_promised() -> None:
    write("mtl 1\nblock b(c) = conv2d(c, 3) | rellu\n", "blocks.mtl")
    done = check(write('mtl 1\nimport "blocks.mtl"\n' + BODY.removeprefix("mtl 1\n")))
    assert "did you mean `relu`?" in done.stderr
    assert done.stderr.endswith("1 problem\n")
    assert check("blocks.mtl").stderr.endswith("1 problem; --fix corrects it\n")


def test_a_name_with_another_digit_is_never_fixed() -> None:
    text = BODY.replace("concat(enc1)", "concat(enc3)").replace("stem = conv2d", "stem = conv3d")
    path = write(text)
    done = check("--fix", path)
    assert Path(path).read_text(encoding="utf-8") == text
    assert "did you mean `enc1` or `enc2`?" in done.stderr
    assert "--fix corrects" not in check(path).stderr


def test_fix_says_the_places_that_were_before() -> None:
    text = BODY.replace("epochs = 4", "epochs = 4\n  optmizer = adam(momentum=3, esp=1e-8)\n  schedulr = non")
    content = json.loads(check("--fix", "--output-format", "json", write(text)).stdout)
    lines = text.splitlines()
    assert len(content["fixed"]) >= 3
    for each in content["fixed"]:
        (edit,) = each["fix"]["edits"]
        wrong = lines[edit["line"] - 1][edit["column"] - 1 : edit["end_column"] - 1]
        assert f"`{wrong}`" in each["cause"]


def test_github_gets_no_file_for_the_standard_input() -> None:
    lines = check("--output-format", "github", "-", given=MISSPELT).stdout.splitlines()
    assert [line.split(",")[0].split("::")[1] for line in lines] == [
        "error title=MTL107 an unknown name",
        "error title=MTL104 an unknown key",
    ]

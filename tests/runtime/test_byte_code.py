"""What is run of a run folder, or beside a generated script, is text that its spec compiles to: never byte code, no
edited file, and of a folder that is not the script's own no other file."""

from __future__ import annotations

import importlib.util
import py_compile
import shutil
from pathlib import Path

import pytest

from tests import prepared

SPEC = """\
mtl 1

data scenes {
  input  = image(3, 16, 16)
  images = 32
}

task depth {
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
}

backbone {
  stem = conv2d(4, 3, stride=2) | relu
}

train {
  epochs = 1
}
"""
EVIL = "from pathlib import Path\nPath('it_ran').touch()\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    (folder / "a.mtl").write_text(SPEC, encoding="utf-8")
    done = prepared.run("-m", "mtsldsl", "train", "a.mtl", "--quiet", "--device", "cpu", cwd=folder)
    assert done.returncode == 0, done.stderr
    done = prepared.run("-m", "mtsldsl", "compile", "a.mtl", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def job(finished: Path, tmp_path: Path) -> Path:
    """A folder with a spec, what is generated from it, and a run that was killed before its report was written."""
    job = tmp_path / "job"
    shutil.copytree(finished, job)
    (job / "runs/a/1/report.html").unlink()
    return job


def put_byte_code(folder: Path, *names: str) -> None:
    """Byte code that does what it should not, as Python takes it without a look at the text beside it."""
    evil = folder.parent / "evil.py"
    evil.write_text(EVIL, encoding="utf-8")
    for name in names:
        place = importlib.util.cache_from_source(str(folder / f"{name}.py"))
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(str(evil), place, doraise=True, invalidation_mode=mode)


def edit(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8") + EVIL, encoding="utf-8")


RUN, GENERATED = "runs/a/1/code", "generated/a"
RESUME = ("--resume", "runs/a/1")


@pytest.mark.parametrize("command", [("train", *RESUME, "--quiet"), ("eval", "runs/a/1")])
def test_neither_byte_code_nor_a_module_of_the_folder_is_run(command: tuple[str, ...], job: Path) -> None:
    code = job / RUN
    put_byte_code(code, "train", "model", "__init__", "torch", "mtsldsl", "sitecustomize")
    for name in ("torch", "mtsldsl", "usercustomize"):
        (code / f"{name}.py").write_text(EVIL, encoding="utf-8")
    done = prepared.run("-m", "mtsldsl", *command, "--device", "cpu", cwd=job)
    assert done.returncode == 0, done.stderr
    assert not any(job.rglob("it_ran"))


@pytest.mark.parametrize("options", [(), RESUME], ids=["anew", "resume"])
@pytest.mark.parametrize("folder", [RUN, GENERATED])
@pytest.mark.soak
def test_a_script_run_by_its_path_runs_no_byte_code_beside_it(folder: str, options: tuple[str, ...], job: Path) -> None:
    for each in (RUN, GENERATED):
        put_byte_code(job / each, "train", "model", "__init__")
    done = prepared.run(f"{folder}/train.py", *options, "--display", "quiet", "--device", "cpu", cwd=job)
    assert done.returncode == 0, done.stderr
    assert not any(job.rglob("it_ran"))


@pytest.mark.parametrize("way", [("-m", "mtsldsl", "train", "--quiet"), (f"{GENERATED}/train.py", "--display=quiet")])
@pytest.mark.parametrize("name", ["train.py", "model.py"])
def test_the_code_of_a_run_is_what_its_spec_compiles_to_when_it_goes_on(
    name: str, way: tuple[str, ...], job: Path
) -> None:
    text = (job / RUN / name).read_text(encoding="utf-8")
    edit(job / RUN / name)
    done = prepared.run(*way, *RESUME, "--device", "cpu", cwd=job)
    assert done.returncode == 0, done.stderr
    assert not (job / "it_ran").exists()
    assert (job / RUN / name).read_text(encoding="utf-8") == text


@pytest.mark.parametrize("way", [(f"{GENERATED}/train.py",), ("-m", "generated.a.train")], ids=["path", "module"])
@pytest.mark.parametrize("wrong", ["edited", "gone", "no text"])
def test_a_script_beside_an_edited_model_is_refused_and_the_model_not_run(
    wrong: str, way: tuple[str, ...], job: Path
) -> None:
    model = job / GENERATED / "model.py"
    if wrong == "edited":
        edit(model)
    elif wrong == "gone":
        model.unlink()
    else:
        model.write_bytes(b"\xff")
    done = prepared.run(*way, "--device", "cpu", cwd=job)
    assert done.returncode == 1
    assert "MTL702" in done.stderr
    assert "model.py is older than a.mtl, or was edited" in done.stderr
    assert "mtsldsl compile a.mtl" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (job / "it_ran").exists()
    assert not (job / "runs/a/2").exists()


def test_an_edited_script_is_refused_by_whatever_name(job: Path) -> None:
    script = job / GENERATED / "mine.py"
    shutil.copy(job / GENERATED / "train.py", script)
    script.write_text(script.read_text(encoding="utf-8").replace("EPOCHS = 1", "EPOCHS = 2"), encoding="utf-8")
    done = prepared.run(f"{GENERATED}/mine.py", "--device", "cpu", cwd=job)
    assert done.returncode == 1
    assert "MTL702" in done.stderr
    assert "mine.py" in done.stderr


@pytest.mark.parametrize("spec", [(), ("a.mtl",)], ids=["last compiled", "named"])
def test_training_a_spec_runs_nothing_of_its_compiled_folder(spec: tuple[str, ...], job: Path) -> None:
    for name in ("model.py", "train.py"):
        edit(job / GENERATED / name)
    done = prepared.run("-m", "mtsldsl", "train", *spec, "--quiet", "--device", "cpu", cwd=job)
    assert done.returncode == 0, done.stderr
    assert not (job / "it_ran").exists()
    assert (job / "runs/a/2/code/model.py").read_bytes() == (job / RUN / "model.py").read_bytes()


@pytest.mark.parametrize("name", ["train.py", "model.py"])
def test_code_of_a_run_that_is_edited_before_it_starts_is_refused_and_not_run(name: str, job: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from mtsldsl.diagnostics import MtlError\n"
        "from mtsldsl.runtime.run.launch import launch\n"
        "from mtsldsl.runtime.run.session import Session\n"
        "session = Session.resume(Path('runs/a/1'), 'cpu', 'quiet')\n"
        "with (session.folder.code / sys.argv[1]).open('a', encoding='utf-8') as file:\n"
        "    file.write(sys.argv[2])\n"
        "try:\n"
        "    launch(session)\n"
        "except MtlError as error:\n"
        "    sys.exit(str(error))\n"
    )
    done = prepared.run("-c", program, name, EVIL, cwd=job)
    assert done.returncode == 1
    assert "MTL702" in done.stderr
    assert f"{name} is not what the run's spec compiles to" in done.stderr
    assert not (job / "it_ran").exists()


def test_the_code_of_a_run_is_no_script_of_its_own_once_the_run_has_changed(job: Path) -> None:
    script = job / RUN / "train.py"
    script.write_text(script.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    done = prepared.run(f"{RUN}/train.py", "--device", "cpu", cwd=job)
    assert done.returncode == 1
    assert "MTL702" in done.stderr
    assert "mtsldsl train --resume" in done.stderr

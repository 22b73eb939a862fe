"""What a run writes into is taken from it while it goes on: it ends with a report that names the place and how to go on,
and what it had reached is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import prepared
from tests.faults.kills import facts, prepared_job
from tests.methods.each_learner import text

SPEC = text("mtsl", at=2, epochs=4)

PROGRAM = """\
import os, resource, shutil, signal, subprocess, sys
from pathlib import Path
from mtsldsl.runtime.run import session
from mtsldsl.cli import main

sys.dont_write_bytecode = True
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
saved, run = session.save_checkpoint, Path("runs/job/1")

def faulty(folder, training, *rest):
    place = saved(folder, training, *rest)
    if (training.epoch, training.batches) == (AT, 0):
        FAULT
    return place

session.save_checkpoint = faulty
main(sys.argv[1:])
"""

GONE: dict[str, tuple[str, str]] = {
    "no checkpoints": ("shutil.rmtree(run / 'checkpoints')", "runs/job/1/checkpoints"),
    "no best weights": ("shutil.rmtree(run / 'best')", "runs/job/1/best"),
    "no evolution": ("shutil.rmtree(run / 'evolution')", "runs/job/1/evolution"),
    "no code": ("shutil.rmtree(run / 'code')", "runs/job/1/code"),
    "no run": ("shutil.rmtree(run)", "runs/job/1"),
    "a file for the run": ("shutil.rmtree(run); run.touch()", "runs/job/1"),
    "a folder for the record": ("(run / 'events.jsonl').unlink(); (run / 'events.jsonl').mkdir()", "events.jsonl"),
    "a file for the checkpoints": ("shutil.rmtree(run / 'checkpoints'); (run / 'checkpoints').touch()", "checkpoints"),
    "small files alone": ("resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000))", "runs/job/1"),
}
"""What is done after the first epoch, and what the report names."""


def train(place: Path, fault: str, *words: str, at: int = 1) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.replace("AT", str(at), 1).replace("FAULT", fault)
    return prepared.run("-c", program, "train", *words, "--device", "cpu", cwd=place)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = prepared_job(tmp_path_factory.mktemp("whole") / "job", SPEC)
    assert train(place, "pass", "job.mtl", "--quiet").returncode == 0
    return place / "runs" / "job" / "1"


def goes_on(place: Path, whole: Path) -> None:
    done = prepared.run("-m", "mtsldsl", "train", "--resume", "runs/job/1", "--quiet", "--device", "cpu", cwd=place)
    assert done.returncode == 0, done.stderr
    assert facts(place / "runs" / "job" / "1") == facts(whole)


@pytest.mark.parametrize("name", GONE)
def test_a_place_that_is_gone_in_the_midst_of_a_run_is_a_report(name: str, tmp_path: Path, whole: Path) -> None:
    fault, place = GONE[name]
    job = prepared_job(tmp_path / "job", SPEC)
    done = train(job, fault, "job.mtl", "--quiet")
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("error MTL") == 1
    assert "error MTL703: " in done.stderr
    assert place in done.stderr
    assert "Traceback" not in done.stderr
    if (job / "runs/job/1/checkpoints/epoch-001").exists():
        assert re.search(
            "go on after (epoch 1|step 3 of epoch 2) with `mtsldsl train --resume runs/job/1`", done.stderr
        )
        for folder in ("best", "evolution", "code"):
            (job / "runs/job/1" / folder).mkdir(exist_ok=True)
        if name not in ("a folder for the record", "no evolution"):  # what was lost is lost
            goes_on(job, whole)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_an_output_that_takes_nothing_ends_the_run_where_it_can_go_on(tmp_path: Path, whole: Path) -> None:
    for name, command in (("full", "> /dev/full"), ("read", "--json | head -1")):
        job = prepared_job(tmp_path / name, SPEC)
        words = f"'{sys.executable}' -m mtsldsl train job.mtl --device cpu {command}"
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            ["bash", "-c", words], cwd=job, env=environment, capture_output=True, text=True, check=False
        )
        assert "error MTL703: the output, or a file of runs/job/1: " in done.stderr, name
        assert "`mtsldsl train --resume runs/job/1`" in done.stderr, name
        assert "Traceback" not in done.stderr
        assert "Exception" not in done.stderr
        goes_on(job, whole)


def test_a_folder_that_may_not_be_written_any_more_ends_the_run_where_it_can_go_on(tmp_path: Path, whole: Path) -> None:
    job = prepared_job(tmp_path / "job", SPEC)
    seal = "[path.chmod(0o555 if path.is_dir() else 0o444) for path in (run, *run.rglob('*'))]; os.geteuid() or os.seteuid(65534)"
    done = train(job, seal, "job.mtl", "--quiet")
    assert done.returncode == 1, done.stderr
    assert "error MTL703: " in done.stderr
    assert "Permission denied" in done.stderr
    assert "Traceback" not in done.stderr
    for path in (job / "runs").rglob("*"):
        path.chmod(0o755)
    goes_on(job, whole)


FULL = """\
mount -t tmpfs -o size=2m tmpfs runs || exit 99
'{python}' program.py train job.mtl --quiet --device cpu
status=$?
rm -f runs/filling
cp -r runs kept
exit $status
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="this system has no name spaces")
def test_a_full_disk_ends_the_run_where_it_can_go_on(tmp_path: Path, whole: Path) -> None:
    """A small one in memory."""
    job = prepared_job(tmp_path / "job", SPEC)
    fill = "disk = os.statvfs('runs'); Path('runs/filling').write_bytes(b'x' * (disk.f_bavail * disk.f_bsize - 4096))"
    (job / "program.py").write_text(PROGRAM.replace("AT", "1", 1).replace("FAULT", fill), encoding="utf-8")
    (job / "runs").mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    words = ["unshare", "-rm", "bash", "-c", FULL.format(python=sys.executable)]
    done = subprocess.run(words, cwd=job, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 99 or "unshare failed" in done.stderr:
        pytest.skip("this user may mount nothing")
    assert done.returncode == 1, done.stderr
    assert "error MTL703: " in done.stderr, done.stderr
    assert "No space left on device" in done.stderr
    assert "go on after epoch 1 with `mtsldsl train --resume runs/job/1`" in done.stderr
    assert "Traceback" not in done.stderr
    (job / "runs").rmdir()
    (job / "kept").rename(job / "runs")
    goes_on(job, whole)

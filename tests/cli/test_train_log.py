"""`mtsldsl train --log` in real processes: tables and TensorBoard's files read back, kills, loggers of other packages."""

from __future__ import annotations

import csv
import json
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tensorboardX.crc32c import crc32c
from tensorboardX.proto.event_pb2 import Event, SessionLog

from tests import prepared
from tests.cli.test_train import KILLED, disturbed
from tests.scenes import rooms

SPEC = (
    rooms(40, 4)
    + """
backbone {
  stem = conv2d(6, 3, stride=2) | batch_norm | relu
}

train {
  epochs  = 3
  balance = random
}

structure mtsl {
  phases    = [2]
  threshold = 0.1
}
"""
)
TIMED = {"seconds", "epoch_seconds", "samples_per_second", "peak_memory_mb"}
TRAIN = ("train", "job.mtl", "--quiet", "--device", "cpu")
BOTH = ("--log", "csv", "--log", "tensorboard")
RESUME = ("train", "--resume", "runs/job/1", "--quiet", "--device", "cpu")
RUN = Path("runs", "job", "1")

Points = dict[tuple[str, str, int], float]


def mtsldsl(*words: str, cwd: Path, status: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
    done = prepared.run("-m", "mtsldsl", *words, cwd=cwd, **variables)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def record(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "events.jsonl").read_text(encoding="utf-8").splitlines()]


def table(run: Path) -> list[list[str]]:
    with (run / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def untimed(run: Path) -> bytes:
    """The table without what no two runs have in common."""
    lines = (run / "metrics.csv").read_bytes().splitlines(keepends=True)
    return b"".join(line for line in lines if line.decode().split(",")[3] not in TIMED)


def tensorboard_events(path: Path) -> Iterator[Event]:
    """The events of a file of TensorBoard, by the format of TFRecord: length, its checksum, bytes, their checksum."""
    data = path.read_bytes()
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        found = data[12 : 12 + length]
        for content, place in ((data[:8], 8), (found, 12 + length)):
            crc = crc32c(content)
            masked = (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
            assert struct.unpack("<I", data[place : place + 4]) == (masked,)
        yield Event.FromString(found)
        data = data[16 + length :]


def shown(run: Path) -> tuple[Points, int]:
    """What TensorBoard shows of a run, each point once, and how many others it forgot: where a file says that a session
    starts, all from its step on."""
    points: Points = {}
    forgotten = 0
    for path in sorted((run / "tensorboard").rglob("*")):
        if path.is_dir():
            continue
        split = path.parent.relative_to(run / "tensorboard").as_posix()
        for event in tensorboard_events(path):
            if event.session_log.status == SessionLog.START:
                gone = [each for each in points if each[0] == split and each[2] >= event.step]
                forgotten += len(gone)
                for each in gone:
                    del points[each]
            for value in event.summary.value:
                point = (split, value.tag, event.step)
                assert point not in points, "a step twice"
                points[point] = value.simple_value
    return points, forgotten


def of_table(run: Path) -> Points:
    return {
        (split, f"{task}/{name}" if task else name, int(epoch)): float(value)
        for epoch, split, task, name, value in table(run)[1:]
        if value
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that has both loggers; not to be changed."""
    folder = tmp_path_factory.mktemp("logged")
    (folder / "job.mtl").write_text(SPEC, encoding="utf-8")
    assert mtsldsl(*TRAIN, *BOTH, cwd=folder).stderr == ""
    return folder


@pytest.fixture
def job(tmp_path: Path) -> Path:
    (tmp_path / "job.mtl").write_text(SPEC, encoding="utf-8")
    return tmp_path


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(trained, tmp_path / "copy"))


def test_the_table_has_every_number_of_the_record(trained: Path) -> None:
    run = trained / RUN
    head, *rows = table(run)
    assert head == ["epoch", "split", "task", "name", "value"]
    found = {tuple(row[:4]): float(row[4]) for row in rows}
    assert len(found) == len(rows)
    wanted: dict[tuple[str, ...], float] = {}
    for event in record(run):
        kind, epoch = event["event"], str(event.get("epoch", 0))
        match event:
            case {"event": "start" | "phase", "parameters": parameters, "flops": flops}:
                wanted |= {(epoch, "train", "", "parameters"): parameters, (epoch, "train", "", "flops"): flops}
            case {"event": "epoch", "losses": {"depth": depth, "edge": edge, **penalty}}:
                wanted |= {(epoch, "train", "depth", "loss"): depth, (epoch, "train", "edge", "loss"): edge}
                wanted |= {(epoch, "train", "", name): value for name, value in penalty.items()}
                wanted |= {(epoch, "train", "", name): event[name] for name in ("lr", *TIMED)}
            case {"event": "balance", "weights": weights}:
                for task, each in weights.items():
                    wanted[epoch, "train", task, "weight"] = pytest.approx(sum(each) / len(each))
            case {"event": "gradients", "norms": norms, "weights": weights}:
                moved = {task: norm * weights[task] for task, norm in norms.items()}
                for task, norm in norms.items():
                    wanted[epoch, "train", task, "gradient_norm"] = norm
                    share = moved[task] / sum(moved.values())
                    wanted[epoch, "train", task, "gradient_share"] = pytest.approx(share)
            case {"event": "validation", "gains": gains, "gain": gain}:
                wanted |= {(epoch, kind, task, "gain"): value for task, value in gains.items()}
                wanted[epoch, kind, "", "gain"] = gain
        if kind in ("validation", "test"):
            for task in ("depth", "edge"):
                at = str(event["epochs"][task]) if kind == "test" else epoch
                wanted[at, kind, task, "loss"] = event["losses"][task]
                wanted |= {(at, kind, task, name): value for name, value in event["metrics"][task].items()}
    assert found == wanted
    assert {key[1] for key in found} == {"train", "validation", "test"}
    assert {"align", "weight", "gradient_share", "rmse", "f1", "gain"} <= {key[3] for key in found}


def test_tensorboard_has_the_points_of_the_table(trained: Path) -> None:
    points, forgotten = shown(trained / RUN)
    assert points == pytest.approx(of_table(trained / RUN), rel=1e-6)  # it has float32
    assert forgotten == 0


def test_the_log_writes_the_table_of_a_run(trained: Path, tmp_path: Path) -> None:
    mtsldsl("log", str(trained / RUN), "--csv", "numbers.csv", cwd=tmp_path)
    assert (tmp_path / "numbers.csv").read_bytes() == (trained / RUN / "metrics.csv").read_bytes()
    mtsldsl("log", str(trained / RUN), "--csv", "numbers.csv", "--json", cwd=tmp_path, status=2)


def test_the_log_writes_the_page_of_a_run(trained: Path, tmp_path: Path) -> None:
    mtsldsl("log", str(trained / RUN), "--html", "page.html", cwd=tmp_path)
    assert (tmp_path / "page.html").read_bytes() == (trained / RUN / "report.html").read_bytes()


def test_a_run_killed_and_resumed_has_the_same_table_and_no_step_twice(trained: Path, job: Path) -> None:
    """It is killed when the third epoch is logged, but not saved."""
    action = f"0\nwritten = lambda *_: {KILLED} if _[1].epoch == 3 else plain(*_)\n"
    program = f"import os\nfrom mtsldsl.runtime.run import session\nplain = session.save_checkpoint\n{action}"
    program += "session.save_checkpoint = written\nimport sys\nfrom mtsldsl.cli import main\nmain(sys.argv[1:])\n"
    assert prepared.run("-c", program, *TRAIN, *BOTH, cwd=job).returncode == -9
    run = job / RUN
    assert [row for row in table(run) if row[:2] == ["3", "validation"]]
    with (run / "metrics.csv").open("a", encoding="utf-8") as file:
        file.write("3,valida")  # as a kill may leave it
    mtsldsl(*RESUME, cwd=job)
    assert untimed(run) == untimed(trained / RUN)
    points, forgotten = shown(run)
    assert forgotten > 0
    assert points == pytest.approx(of_table(run), rel=1e-6)
    assert [event["loggers"] for event in record(run) if event["event"] in ("start", "resume")] == [
        ["csv", "tensorboard"],
        ["csv", "tensorboard"],
    ]


def test_a_finished_run_that_goes_on_has_its_test_once(copy: Path) -> None:
    before = untimed(copy / RUN)
    mtsldsl(*RESUME, cwd=copy)
    assert untimed(copy / RUN) == before
    assert shown(copy / RUN)[0] == pytest.approx(of_table(copy / RUN), rel=1e-6)


def test_a_run_may_go_on_with_other_loggers_which_have_all_of_it(job: Path) -> None:
    assert disturbed(*TRAIN, action=f"if training.epoch == 1: {KILLED}", cwd=job).returncode == -9
    run = job / RUN
    assert not (run / "metrics.csv").exists()
    mtsldsl(*RESUME, *BOTH, cwd=job)
    assert {row[0] for row in table(run)[1:]} == {"0", "1", "2", "3"}
    assert shown(run)[0] == pytest.approx(of_table(run), rel=1e-6)


PACKAGE = """\
import json

class Told:
    def __init__(self, run):
        self.file = (run / "told.jsonl").open("w")

    def __call__(self, event):
        print(json.dumps(event), file=self.file)
        event.clear()  # which is no one else's

    def close(self):
        self.file.close()
        print("closed")

class Broken(Told):
    def __call__(self, event):
        super().__call__(event)
        raise KeyError("no such project")

class Unclosed(Told):
    def close(self):
        raise OSError("no route")

def never(run):
    raise RuntimeError("not logged in")
"""
NAMES = "[mtsldsl.loggers]\ntold = own:Told\nbroken = own:Broken\nunclosed = own:Unclosed\nnever = own:never\ngone = missing:It\n"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where a package with loggers is installed."""
    place = tmp_path_factory.mktemp("packages")
    (place / "own.py").write_text(PACKAGE, encoding="utf-8")
    (place / "own-1.0.dist-info").mkdir()
    (place / "own-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1.0\n")
    (place / "own-1.0.dist-info" / "entry_points.txt").write_text(NAMES)
    return str(place)


def test_a_logger_of_another_package_is_told_what_is_recorded(job: Path, package: str) -> None:
    done = mtsldsl(*TRAIN, "--log", "told", "--log", "csv", cwd=job, PYTHONPATH=package)
    assert done.stdout == "closed\n"
    run = job / RUN
    assert (run / "told.jsonl").read_bytes() == (run / "events.jsonl").read_bytes()
    assert len(table(run)) > 50


@pytest.mark.parametrize(("name", "why"), [
    ("broken", "KeyError: 'no such project'"),
    ("never", "RuntimeError: not logged in"),
    ("unclosed", "OSError: no route"),
])  # fmt: skip
@pytest.mark.soak
def test_a_logger_that_fails_is_warned_of_once_and_the_run_goes_on(
    trained: Path, job: Path, package: str, name: str, why: str
) -> None:
    done = mtsldsl(*TRAIN, "--log", name, "--log", "csv", cwd=job, PYTHONPATH=package)
    said = f"the logger `{name}` failed, and is told no more; events.jsonl has all: {why}"
    assert done.stderr == f"warning: {said}\n"
    assert untimed(job / RUN) == untimed(trained / RUN)
    warned = [event["text"] for event in record(job / RUN) if event["event"] == "warning" and said in str(event)]
    assert len(warned) == (name != "unclosed")  # whose failing comes after the end


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk is simulated by Linux")
def test_a_full_disk_ends_the_table_and_not_the_run(job: Path) -> None:
    assert disturbed(*TRAIN, "--log", "csv", action=f"if training.epoch == 1: {KILLED}", cwd=job).returncode == -9
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from mtsldsl.runtime.run import csv_log\n"
        "write = csv_log.write_text_atomically\n"
        "def full(path, text):\n    write(path, text); path.unlink(); path.symlink_to('/dev/full')\n"
        "csv_log.write_text_atomically = full\n"
        "from mtsldsl.cli import main\nmain(sys.argv[1:])\n"
    )
    done = prepared.run("-c", program, *RESUME, cwd=job)
    assert done.returncode == 0
    assert "No space left on device" in done.stderr
    assert done.stderr.count("warning: the logger `csv` failed") == 1
    assert record(job / RUN)[-1]["event"] == "end"


def test_an_unknown_logger_says_which_there_are(job: Path, package: str) -> None:
    done = mtsldsl(*TRAIN, "--log", "wandb", cwd=job, status=1, PYTHONPATH=package)
    assert "error MTL813: no logger `wandb` is installed" in done.stderr
    assert "csv, tensorboard, told, broken" in done.stderr
    assert "did you mean `tensorboard`?" in mtsldsl(*TRAIN, "--log", "tensorbord", cwd=job, status=1).stderr
    assert not (job / "runs").exists()


def test_a_library_that_is_missing_is_named_with_its_extra(job: Path, package: str, tmp_path: Path) -> None:
    missing = "import sys\nsys.modules['tensorboardX'] = None\nfrom mtsldsl.cli import main\nmain(sys.argv[1:])\n"
    done = prepared.run("-c", missing, *TRAIN, "--log", "tensorboard", cwd=job)
    assert done.returncode == 1
    assert "MTL808" in done.stderr
    assert "pip install 'mtsldsl[tensorboard]'" in done.stderr
    done = mtsldsl(*TRAIN, "--log", "gone", cwd=job, status=1, PYTHONPATH=package)
    assert "MTL808" in done.stderr
    assert "`missing` cannot be imported" in done.stderr


def test_the_script_by_itself_logs_too(trained: Path, job: Path) -> None:
    mtsldsl("compile", "job.mtl", cwd=job)
    words = ("--device", "cpu", "--display", "quiet", "--log", "csv")
    done = prepared.run("generated/job/train.py", *words, cwd=job)
    assert done.returncode == 0, done.stderr
    assert untimed(job / RUN) == untimed(trained / RUN)

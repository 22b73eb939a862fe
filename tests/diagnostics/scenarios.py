"""For each code that no text alone can cause: what there is in the folder, and the command of its example run for real."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np

from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.examples import whole
from mtsldsl.diagnostics.explained import Code
from tests import prepared

SPEC = Path("spec.mtl")

OWN_LAYERS = """\
import torch


class Half(torch.nn.Module):
    def forward(self, image):
        return image[..., ::2, ::2]


class Noted(torch.nn.Module):
    def get_extra_state(self):
        return {"seen": 0}
"""


OWN_PHOTOS = """\
import torch
from torch.utils.data import Dataset


class Photos(Dataset):
    def __len__(self):
        return 40

    def __getitem__(self, number):
        if number == 3:
            raise OSError("the file is cut off")
        return {"image": torch.zeros(3, 32, 32)}


def cut_off():
    return Photos()
"""


def report_of(entry: Code) -> str:
    """What the example of a code prints on the standard error, run in this folder."""
    SPEC.write_text(whole(entry.example), encoding="utf-8")
    said = ""
    prepare = PREPARED.get(entry.code, _nothing)
    for number, line in enumerate(line for line in entry.console.splitlines() if line.startswith("$ ")):
        prepare(number)
        command = line.removeprefix("$ ").split()
        said = MEANWHILE[entry.code]() if entry.code in MEANWHILE else _run(command, entry.code in FROM_NOTHING)
    return said.replace(str(Path.cwd()), "FOLDER").replace(f"torch {metadata.version('torch')}", "torch VERSION")


def _run(command: list[str], from_nothing: bool) -> str:
    arguments = ["-m", *command] if command[0] == "mtsldsl" else command[1:]
    if from_nothing:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
        done = subprocess.run(
            [sys.executable, *arguments], env=environment, capture_output=True, encoding="utf-8", check=False
        )
    else:
        done = prepared.run(*arguments)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stderr


def _nothing(_: int) -> None:
    pass


def _utf_16(_: int) -> None:
    SPEC.write_bytes(SPEC.read_text(encoding="utf-8").encode("utf-16"))


def _wide(_: int) -> None:
    text = SPEC.read_text(encoding="utf-8").replace("enc1", "body")
    Path("wide.mtl").write_text(f"{text}\nsharing {{\n  stem..body = all\n}}\n", encoding="utf-8")


def _rooms(_: int) -> None:
    np.savez("rooms.npz", image=np.zeros((20, 3, 32, 32), np.float32), depth=np.ones((20, 1, 32, 32), np.float32))


def _rooms_cut_off(_: int) -> None:
    _rooms(0)
    Path("rooms.npz").write_bytes(Path("rooms.npz").read_bytes()[:4000])


def _pictures(_: int) -> None:
    from PIL import Image

    Path("rooms").mkdir()
    for number in range(3):
        Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(f"rooms/{number}.png")
    Path("rooms/labels.csv").write_text("file,depth\n0.png,1\n1.png,2\n1.png,3\n", encoding="utf-8")


def _own_model(_: int) -> None:
    Path("generated/spec").mkdir(parents=True)
    Path("generated/spec/model.py").write_text("# my own model\n", encoding="utf-8")


def _two_of_a_name(_: int) -> None:
    for folder in (Path("small"), Path("large")):
        folder.mkdir(exist_ok=True)
        (folder / SPEC).write_bytes(SPEC.read_bytes())


def _misspelt_settings(_: int) -> None:
    Path("pyproject.toml").write_text("[tool.mtsldsl]\npedantik = true\n", encoding="utf-8")


def _edited(number: int) -> None:
    if number == 1:
        text = SPEC.read_text(encoding="utf-8")
        SPEC.write_text(text.replace("epochs = 4", "epochs = 5"), encoding="utf-8")


def _stopped_run(_: int) -> None:
    folder = Path("runs/spec/1")
    folder.mkdir(parents=True)
    (folder / "spec.mtl").write_bytes(SPEC.read_bytes())


def _stopped_teachers(_: int) -> None:
    folder = Path("runs/each/1")
    folder.mkdir(parents=True)
    (folder / "spec.mtl").write_bytes(SPEC.read_bytes())


def _other_weights(number: int) -> None:
    if number == 1:
        from safetensors.numpy import save_file

        for path in Path("runs/spec/1/best").rglob("*.safetensors"):
            save_file({"head.weight": np.zeros((1, 1), np.float32)}, path)


def _own_layers(_: int) -> None:
    Path("own_layers.py").write_text(OWN_LAYERS, encoding="utf-8")


def _own_photos(_: int) -> None:
    Path("own_photos.py").write_text(OWN_PHOTOS, encoding="utf-8")


def _torchvision_for_another_torch(_: int) -> None:
    broken_torchvision(Path.cwd())


def broken_torchvision(folder: Path) -> None:
    """A torchvision in `folder` that fails as one does beside a torch that it was not built for."""
    package, record = folder / "torchvision", folder / "torchvision-0.1.0.dist-info"
    for place in (package, record):
        place.mkdir()
    (package / "__init__.py").write_text(
        'import torch\n\ntorch.library.register_fake("torchvision::nms")(lambda boxes: boxes)\n', encoding="utf-8"
    )
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: torchvision\nVersion: 0.1.0\n", encoding="utf-8")


def _saved_meanwhile() -> str:
    """What `check --fix` does, with an editor that saves the file between the reading and the writing."""
    from mtsldsl.editing.fixes import mend, save
    from mtsldsl.syntax import read_source

    before = read_source("spec.mtl")
    after = mend(before).report.source
    SPEC.write_text(before.text + "# more\n", encoding="utf-8")
    try:
        save(before, after, "spec.mtl")
    except MtlError as error:
        return f"{error}\n"
    raise AssertionError("the file was written over")


PREPARED: dict[str, Callable[[int], None]] = {
    "MTL005": _utf_16,
    "MTL407": _wide,
    "MTL602": _rooms_cut_off,
    "MTL603": _rooms,
    "MTL604": _pictures,
    "MTL605": _pictures,
    "MTL609": _stopped_teachers,
    "MTL606": _own_photos,
    "MTL607": _own_photos,
    "MTL701": _own_model,
    "MTL702": _edited,
    "MTL705": _two_of_a_name,
    "MTL707": _misspelt_settings,
    "MTL801": _stopped_run,
    "MTL805": _other_weights,
    "MTL806": _own_layers,
    "MTL807": _own_layers,
    "MTL816": _own_layers,
    "MTL808": _torchvision_for_another_torch,
}
"""What is done before each command of an example, which is given its number."""

FROM_NOTHING = frozenset(("MTL808",))
"""Codes of what happens while libraries are imported, so that none may have been before."""


def _within_64_gb() -> str:
    """A process that may have no more, on whatever machine this is."""
    program = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (64_000_000 << 10,) * 2)\n"
        "from mtsldsl.cli import run\n"
        "run()\n"
    )
    done = prepared.run("-c", program, "train", "--dry-run", "--device", "cpu", str(SPEC))
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr


def _other_teachers() -> str:
    """What a run says that goes on, after the one that teaches it was trained anew."""
    import torch

    from mtsldsl.editing import loads
    from mtsldsl.runtime.run.events import Taught
    from mtsldsl.runtime.run.teaching import TeachingRun
    from tests.finished_run import finished_run

    spec = loads(SPEC.read_text(encoding="utf-8"), name="spec.mtl", overrides={"train.teachers": "runs/each/1"})
    folder = finished_run(Path("runs/each/1"), spec)
    before = Taught(text="", path=str(folder.path), sha256="0" * 64, tasks=["depth"], teach=1.0)
    try:
        TeachingRun.said_by(spec, torch.device("cpu"), before)
    except MtlError as error:
        return f"{error}\n"
    raise AssertionError("other weights went on to teach")


def _held_elsewhere() -> str:
    """What a run says that goes on while another process trains in its folder."""
    from mtsldsl.runtime.run.run_lock import hold

    folder = Path("runs/spec/1")
    folder.mkdir(parents=True, exist_ok=True)
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from mtsldsl.runtime.run.run_lock import hold\n"
        "held = hold(Path('runs/spec/1/.lock'), Path('runs/spec/1'))\n"
        "os.ftruncate(held, 0)\n"
        "os.pwrite(held, b'process 4711 on another machine', 0)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        try:
            hold(folder / ".lock", folder)
        except MtlError as error:
            return f"{error}\n"
        finally:
            other.communicate()
    raise AssertionError("two processes train in one folder")


MEANWHILE: dict[str, Callable[[], str]] = {
    "MTL610": _other_teachers,
    "MTL704": _saved_meanwhile,
    "MTL812": _within_64_gb,
    "MTL817": _held_elsewhere,
}
"""Codes of what happens while a command runs, or where there is little: its own functions, called in their order."""

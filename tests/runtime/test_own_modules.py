"""Modules of a person's own: imported when a network is built and no sooner, and held to what the spec declares."""

from __future__ import annotations

import os
import py_compile
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from mtsldsl.cli import main
from mtsldsl.codegen import model_source
from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.methods.registry import methods
from mtsldsl.runtime.network.built import build_model
from mtsldsl.runtime.network.user_modules import remarks_on_sizes
from mtsldsl.runtime.run.events import Start, Warned
from mtsldsl.runtime.run.record_file import read_events
from mtsldsl.runtime.run.session import Session
from mtsldsl.sharing import Sharing
from tests.codegen.examples import example

SPEC = """\
mtl 1

data arrays {{
  path  = "x.npz"
  input = image(3, 8, 8)
}}

task depth {{
  target = values(1)
  head   = conv2d(1, 1)
}}

backbone {{
  stem = conv2d(4, 3) | {module} | relu
}}

train {{
  epochs = 1
}}
"""
BLOCKS = """\
import torch
from torch import nn

class Scale(nn.Module):
    def __init__(self, factor=2.0, sizes=(), fail=False):
        super().__init__()
        assert isinstance(sizes, list | tuple)
        if fail:
            raise RuntimeError("so it was asked")
        self.factor = nn.Parameter(torch.tensor([factor]))
        self.drawn = torch.rand(1)

    def forward(self, image):
        return image * self.factor

class Scaled(nn.Module):
    def __init__(self, count):
        super().__init__()
        self.factors = nn.Parameter(torch.ones(count))

    def forward(self, image):
        return image * self.factors.sum()

class Halves(nn.Module):
    def forward(self, image):
        return image[..., ::2]

class Narrow(nn.Module):
    def forward(self, image):
        return image.half()

class Fuse(nn.Module):
    def forward(self, image, other):
        return image + other

class Late(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.LazyConv2d(4, 1)

    def forward(self, image):
        return self.conv(image)

class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, image):
        return self.conv(image)

WHOLE = nn.Conv2d(4, 4, 1)

class OfAll(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = WHOLE

    def forward(self, image):
        return self.conv(image)

class Counted(nn.Module):
    seen = torch.zeros(4, 1, 1)

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", Counted.seen)

    def forward(self, image):
        return image + self.mean

class Grown(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(0))

    def forward(self, image):
        self.seen = torch.cat([self.seen, image.mean().view(1)])
        return image

class Joined(nn.Module):
    def forward(self, image):
        if not hasattr(self, "weight"):
            self.weight = nn.Parameter(torch.ones(1))
        return image * self.weight

class Ends(nn.Module):
    def __init__(self):
        raise SystemExit(0)

class Sized(nn.Module):
    def __init__(self, out):
        super().__init__()

class Flat(nn.Module):
    def forward(self, image):
        return image[:1]

class Several(nn.Module):
    def forward(self, image):
        return image, image

def scale():
    return Scale()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with a package `person`, which Python finds in no other way."""
    (tmp_path / "person").mkdir()
    (tmp_path / "person" / "blocks.py").write_text(BLOCKS)
    (tmp_path / "person" / "broken.py").write_text('raise OSError("no such camera")\n')
    (tmp_path / "person" / "ends.py").write_text("raise SystemExit(0)\n")
    (tmp_path / "coded.py").write_text('from pathlib import Path\nPath("ran").touch()\n')
    py_compile.compile(str(tmp_path / "coded.py"), str(tmp_path / "person" / "coded.pyc"), doraise=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    yield tmp_path
    forget_the_persons_modules()


def spec_with(module: str) -> Spec:
    return loads(SPEC.format(module=module), name="specs/person.mtl")


def refusal(module: str) -> tuple[str, str, int]:
    """Code, cause and line of what building a network says."""
    with pytest.raises(MtlError) as caught:
        build_model(spec_with(module))(torch.zeros(2, 3, 8, 8))
    (found,) = caught.value.diagnostics
    assert found.span is not None
    return found.code, found.cause, found.span.line


def test_a_module_of_the_working_folder_is_found_and_runs(folder: Path) -> None:
    model = build_model(
        spec_with('module("person.blocks:Scale", out=[4, 8, 8], parameters=1, factor=3.0, sizes=[1, 2])')
    )
    assert model(torch.zeros(2, 3, 8, 8))["depth"].shape == (2, 1, 8, 8)
    assert model.get_parameter("stem.depth.module1.factor").item() == 3


def test_copies_of_a_module_start_equal_and_the_random_state_stays(folder: Path) -> None:
    spec = example("own")
    torch.manual_seed(3)
    model = build_model(spec.with_sharing(Sharing.each(spec.backbone, spec.sharing.tasks)))
    after = torch.rand(4)
    torch.manual_seed(3)
    assert torch.equal(after, torch.rand(4))
    first, second = (model.get_submodule(f"fuse.{task}.module1.conv").state_dict() for task in ("kind", "depth"))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("module", "code", "said"),
    [
        ('module("person.block:Scale", out=4)', "MTL806", "No module named 'person.block'"),
        ('module("person.blocks:Scales", out=4)', "MTL806", "`person.blocks` has no `Scales`"),
        ('module("person.blocks:scale", out=4)', "MTL806", "is no torch.nn.Module"),
        ('module("os:system", out=4, command="touch ran")', "MTL806", "is no torch.nn.Module"),
        ('module("person.blocks:Scale", out=4, factr=1)', "MTL806", "unexpected keyword argument 'factr'"),
        ('module("person.blocks:Scale", out=[4, 8, 8], parameters=7)', "MTL807", "learns 1 parameters"),
        ('module("person.blocks:Late", out=4)', "MTL806", "has no shape before the first forward pass"),
        (
            'module("torch.nn:LazyConv2d", out=4, out_channels=4, kernel_size=1, parameters=20)',
            "MTL806",
            "has no shape",
        ),
        ('module("person.blocks:Fuse", out=4)', "MTL807", "cannot be called with 1 value: missing a required argument"),
        ('module("person.blocks:Scale", relu, out=4)', "MTL807", "cannot be called with 2 values: too many positional"),
        ('module("person.blocks:Narrow", out=4)', "MTL807", "numbers of the type float16, where float32"),
        ('module("person.blocks:OfAll", out=4)', "MTL816", "`conv.weight` of `person.blocks:OfAll` is one for all"),
        ('module("person.blocks:Counted", out=4)', "MTL816", "`mean` of `person.blocks:Counted` is one for all"),
        ('module("person.blocks:Grown", out=4)', "MTL816", "`seen` of the state of `person.blocks:Grown` comes, goes"),
        ('module("person.blocks:Joined", out=4)', "MTL816", "`weight` of the state of `person.blocks:Joined` comes"),
        ('module("person.blocks:Ends", out=4)', "MTL806", "cannot be made: it ends the program"),
        ('module("person.ends:Any", out=4)', "MTL806", "`person.ends` ends the program"),
        ('module("person.coded:Any", out=4)', "MTL806", "coded.pyc is byte code without its text, which is not run"),
    ],
)
def test_what_cannot_be_made_is_told_at_its_line(folder: Path, module: str, code: str, said: str) -> None:
    found, cause, line = refusal(module.replace("out=4", "out=[4, 8, 8]"))
    assert (found, line) == (code, 14)
    assert said in cause
    assert not (folder / "ran").exists()


@pytest.mark.parametrize(
    ("module", "remedy"),
    [
        ('module("person.blocks:Sized", out=[4, 8, 8])', "call the argument of the class something else than `out`"),
        (
            'module("person.blocks:Flat", out=[4, 8, 8])',
            "the first dimension of what it returns is that of the samples",
        ),
        ('module("person.blocks:Halves", out=[4, 8, 8])', "declare `out=[4, 8, 4]`, or mend the class"),
    ],
)
def test_the_remedy_is_one_that_helps(folder: Path, module: str, remedy: str) -> None:
    with pytest.raises(MtlError) as caught:
        build_model(spec_with(module))(torch.zeros(2, 3, 8, 8))
    assert remedy in caught.value.diagnostics[0].remedy


@pytest.mark.parametrize(
    ("module", "kind", "said"),
    [
        ('module("person.broken:Scale", out=[4, 8, 8])', OSError, "no such camera"),
        ('module("person.blocks:Scale", out=[4, 8, 8], fail=true)', RuntimeError, "so it was asked"),
    ],
)
def test_what_the_persons_code_raises_keeps_its_traceback_and_names_the_line(
    folder: Path, module: str, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said) as raised:
        build_model(spec_with(module))
    assert raised.value.__notes__[0].split(":")[1] == "14"


@pytest.mark.parametrize(
    ("name", "said"), [("Halves", "a tensor of the shape (2, 4, 8, 4)"), ("Several", "a value of the type tuple")]
)
def test_another_output_than_declared_is_told_at_the_first_forward_pass(folder: Path, name: str, said: str) -> None:
    code, cause, line = refusal(f'module("person.blocks:{name}", out=[4, 8, 8])')
    assert (code, line) == ("MTL807", 14)
    assert said in cause
    assert "(2, 4, 8, 8)" in cause


def test_a_module_may_give_the_narrow_numbers_that_bf16_makes(folder: Path) -> None:
    model = build_model(spec_with('module("person.blocks:Mixed", out=[4, 8, 8])'))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(torch.zeros(2, 3, 8, 8))["depth"].dtype == torch.bfloat16


def test_a_module_beside_the_spec_is_found_as_well(folder: Path) -> None:
    (folder / "specs" / "beside").mkdir(parents=True)
    (folder / "specs" / "beside" / "person_too.py").write_text(BLOCKS)
    text = SPEC.format(module='module("person_too:Scale", out=[4, 8, 8])')
    with pytest.raises(MtlError, match="No module named 'person_too'"):
        build_model(loads(text, name="specs/person.mtl"))
    assert build_model(loads(text, name="specs/beside/person.mtl"))(torch.zeros(2, 3, 8, 8))["depth"].shape[1] == 1


def test_the_working_folder_comes_before_that_of_the_spec(folder: Path) -> None:
    (folder / "specs" / "person").mkdir(parents=True)
    (folder / "specs" / "person" / "blocks.py").write_text("from torch import nn\n")
    assert build_model(spec_with('module("person.blocks:Scale", out=[4, 8, 8])')) is not None


def test_the_file_that_was_imported_is_named_where_it_lacks_the_class(folder: Path) -> None:
    (folder / "wave.py").write_text(BLOCKS)  # Python has a module of that name, which comes first
    code, cause, line = refusal('module("wave:Scale", out=[4, 8, 8])')
    assert (code, line) == ("MTL806", 14)
    assert str(Path(sys.modules["wave"].__file__ or "")) in cause


def test_a_run_that_cannot_start_leaves_no_folder(folder: Path) -> None:
    with pytest.raises(MtlError, match="MTL806"):
        Session.create(spec_with('module("person.blocks:Gone", out=[4, 8, 8])'), "person", Path("runs"), "cpu", "quiet")
    assert not (folder / "runs").exists()


def forget_the_persons_modules() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "person"]:
        del sys.modules[name]


def test_a_run_records_the_files_of_its_modules_and_warns_when_they_are_others(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(0)
    image = random.standard_normal((40, 3, 8, 8)).astype(np.float32)
    np.savez(folder / "x.npz", image=image, depth=image[:, :1])
    path = folder / "person.mtl"
    path.write_text(SPEC.format(module='module("person.blocks:Scale", out=[4, 8, 8])'))
    run = CliRunner().invoke
    done = run(main, ["train", "person.mtl", "--device", "cpu", "--quiet"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    (start,) = [each for each in read_events(Path("runs/person/1/events.jsonl")) if isinstance(each, Start)]
    code = folder / "person" / "blocks.py"
    digest = sha256(code.read_bytes()).hexdigest()
    assert start.modules == [{"target": "person.blocks:Scale", "file": str(code), "sha256": digest}]
    for change in ("", "\n# another\n"):
        code.write_text(BLOCKS + change)
        for arguments in (["eval", "runs/person/1"], ["train", "--resume", "runs/person/1", "--quiet"]):
            forget_the_persons_modules()
            Path("runs/person/1/report.html").unlink(missing_ok=True)  # as one that was killed before it was written
            capfd.readouterr()
            done = run(main, [*arguments, "--device", "cpu"], catch_exceptions=False)
            assert done.exit_code == 0, done.output
            said = capfd.readouterr().err + done.output
            assert ("`person.blocks:Scale` is not what it was" in said) == bool(change)


def test_a_run_says_how_many_parameters_a_module_has_that_the_spec_does_not_count(folder: Path) -> None:
    random = np.random.default_rng(0)
    image = random.standard_normal((40, 3, 8, 8)).astype(np.float32)
    np.savez(folder / "x.npz", image=image, depth=image[:, :1])
    path = folder / "person.mtl"
    for given, told in (("", True), (", parameters=20", False)):
        path.write_text(SPEC.format(module=f'module("person.blocks:Mixed", out=[4, 8, 8]{given})'))
        done = CliRunner().invoke(
            main, ["train", "person.mtl", "--device", "cpu", "--runs", f"runs{told}", "--quiet"], catch_exceptions=False
        )
        assert done.exit_code == 0, done.output
        events = read_events(Path(f"runs{told}/person/1/events.jsonl"))
        said = [each.text for each in events if isinstance(each, Warned) and each.about == "modules"]
        wanted = (
            "`person.blocks:Mixed` learns 20 parameters, which the spec does not say: numbers of parameters are told"
        )
        assert said == ([f"{wanted} without them. Write `parameters=20`"] if told else [])


def test_it_says_so_of_each_size_of_a_class_once(folder: Path) -> None:
    module = 'module("person.blocks:Scaled", out=[4, 8, 8], count={count})'
    stages = " | ".join(module.format(count=count) for count in (1, 3, 3))
    told = list(remarks_on_sizes(spec_with(stages)))
    assert [each.partition(",")[0] for each in told] == [
        "`person.blocks:Scaled` learns 1 parameter",
        "`person.blocks:Scaled` learns 3 parameters",
    ]


TWO = """\
task edge {{
  target = binary(1)
  head   = conv2d(1, 1)
}}

backbone {{
  last = conv2d(4, 3)
"""
COUNTING = {
    "mtsl": "phases = [1]\n  choose = budget(0.9)",
    "split": "phases = [1]\n  every = 1\n  patience = 1\n  threshold = 0.9\n  budget = 0.9",
    "branch": "at = 1\n  similarity = rsa(samples=40)\n  budget = 0.9",
    "ladder": "budgets = [0.9]",
}
NOT_COUNTING = {
    "mtsl": "phases = [1]",
    "split": "phases = [1]\n  every = 1\n  patience = 1\n  threshold = 0.9",
    "transference": "every = 2",
}


def of_two(method: str, block: str, declared: str = "") -> Spec:
    module = f'module("person.blocks:Mixed", out=[4, 8, 8]{declared})'
    text = SPEC.replace("backbone {{\n", TWO).replace("epochs = 1", "epochs = 4\n  balance = relative")
    return loads(text.format(module=module) + f"\nstructure {method} {{\n  {block}\n}}\n")


def test_every_method_with_a_budget_is_tried() -> None:
    assert COUNTING.keys() == {each.name for each in methods() if each.budget or each.budgets}


@pytest.mark.parametrize("method", COUNTING)
def test_what_is_decided_by_numbers_of_parameters_counts_every_module(method: str) -> None:
    with pytest.raises(MtlError) as caught:
        of_two(method, COUNTING[method])
    (found,) = caught.value.diagnostics
    assert found.code == "MTL505"
    assert "`person.blocks:Mixed` does not say how many it learns" in found.cause
    assert found.span is not None
    assert found.span.line == 20
    assert of_two(method, COUNTING[method], ", parameters=20").structure


@pytest.mark.parametrize("method", NOT_COUNTING)
def test_what_is_decided_otherwise_may_leave_that_out(method: str) -> None:
    assert of_two(method, NOT_COUNTING[method]).structure


def test_the_output_is_looked_at_once(folder: Path) -> None:
    model = build_model(spec_with('module("person.blocks:Scale", out=[4, 8, 8])'))
    module = model.get_submodule("stem.depth.module1")
    assert len(module._forward_hooks) == 1
    model(torch.zeros(2, 3, 8, 8))
    assert len(module._forward_hooks) == 0


@pytest.mark.parametrize("command", ["check", "compile", "fmt", "show", "diff"])
def test_no_command_that_does_not_compute_imports_a_module(folder: Path, command: str) -> None:
    (folder / "person.mtl").write_text(SPEC.format(module='module("person.broken:Scale", out=[4, 8, 8])'))
    arguments = [command, "person.mtl", *(["person.mtl"] if command == "diff" else [])]
    arguments += ["--check"] if command == "fmt" else []
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert not [name for name in sys.modules if name.partition(".")[0] == "person"]


def test_show_marks_what_is_declared(folder: Path) -> None:
    (folder / "person.mtl").write_text(SPEC.format(module='module("a:B", out=[4, 8, 8], parameters=1000)'))
    lines = CliRunner().invoke(main, ["show", "person.mtl"], catch_exceptions=False).output.splitlines()
    assert [("declared" in line) for line in lines if " stem" in line or "head" in line] == [True, False]
    assert any("stem  1,112 parameters" in line for line in lines)
    checked = CliRunner().invoke(main, ["check", "person.mtl"], catch_exceptions=False).output
    assert all("1,117 parameters" in text and "as far as declared" in text for text in (lines[0], checked))
    (folder / "plain.mtl").write_text(SPEC.format(module="identity"))
    plain = CliRunner().invoke(main, ["check", "plain.mtl"], catch_exceptions=False).output
    assert "declared" not in plain


def test_the_generated_model_runs_by_itself_where_python_finds_the_modules(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(model_source(example("own")))
    program = (
        "import sys, torch\n"
        "from model import Model\n"
        "assert 'mtsldsl' not in sys.modules\n"
        "print({name: tuple(each.shape) for name, each in Model()(torch.zeros(2, 3, 16, 16)).items()})\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{Path(__file__).parents[2]}"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "{'kind': (2, 4), 'depth': (2, 1, 16, 16)}", done.stderr

"""The specs of the library: they have the parameters of the networks they are named after, compile and build."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

from mtsldsl.codegen import compile_spec
from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import load, loads
from mtsldsl.editing.bundle import self_contained
from mtsldsl.ir import Spec
from mtsldsl.runtime.network.built import load_model_class
from mtsldsl.syntax import parse, read_source
from mtsldsl.syntax.tree import Definition

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "specs" / "library"
NAMES = sorted(path.stem for path in LIBRARY.glob("*.mtl"))


@cache
def spec_of(name: str) -> Spec:
    return load(LIBRARY / f"{name}.mtl")


def size(modules: Iterable[nn.Module]) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def test_the_library_has_its_networks() -> None:
    assert {"resnet18", "resnet34", "resnet50", "unet", "deeplab", "vit_tiny", "mlp"} <= set(NAMES)


@pytest.mark.parametrize(
    ("name", "parameters"), [("resnet18", 11_689_512), ("resnet34", 21_797_672), ("resnet50", 25_557_032)]
)
def test_a_residual_network_has_the_published_number_of_parameters(name: str, parameters: int) -> None:
    assert spec_of(name).cost().parameters == parameters


@pytest.mark.parametrize(("name", "gigaflops"), [("resnet18", 1.814), ("resnet34", 3.664), ("resnet50", 4.089)])
def test_a_residual_network_has_the_published_multiply_adds(name: str, gigaflops: float) -> None:
    assert spec_of(name).cost().flops / 2e9 == pytest.approx(gigaflops, abs=6e-4)


def unet(channels: int, *, bias: bool = False) -> int:
    """Parameters of the U-Net with bilinear interpolation whose last convolution has so many channels."""

    def pair(before: int, inner: int, after: int) -> list[nn.Module]:
        first, second = nn.Conv2d(before, inner, 3, bias=bias), nn.Conv2d(inner, after, 3, bias=bias)
        return [first, nn.BatchNorm2d(inner), second, nn.BatchNorm2d(after)]

    down = [pair(3, 64, 64), pair(64, 128, 128), pair(128, 256, 256), pair(256, 512, 512), pair(512, 512, 512)]
    up = [pair(1024, 512, 256), pair(512, 256, 128), pair(256, 128, 64), pair(128, 64, 64)]
    return sum(map(size, [*down, *up])) + size([nn.Conv2d(64, channels, 1)])


def test_the_u_net_has_the_parameters_of_the_usual_one() -> None:
    alone = spec_of("unet").cost().tasks
    with torch.device("meta"):
        assert {task.name: unet(task.target.channels) for task in spec_of("unet").tasks} == {
            task: amount.parameters for task, amount in alone.items()
        }
        with_biases = unet(1, bias=True)
    assert alone["edge"].parameters == 17_262_977  # milesial/Pytorch-UNet, 3 channels to 1, bilinear
    assert with_biases == 17_267_393  # before it dropped the biases that batch_norm takes away


def test_deeplab_has_the_parameters_of_the_usual_one() -> None:
    alone = load(LIBRARY / "deeplab.mtl", {"segments": 21}).cost().tasks["segment"]
    with torch.device("meta"):
        auxiliary = size([nn.Conv2d(1024, 256, 3, bias=False), nn.BatchNorm2d(256), nn.Conv2d(256, 21, 1)])
    assert alone.parameters == 42_004_074 - auxiliary  # DeepLabV3_ResNet50_Weights: "num_params"


def test_deeplab_works_on_an_eighth_of_the_image() -> None:
    spec = spec_of("deeplab")
    _, height, width = spec.data.shape
    assert {layer.name: layer.body.shape for layer in spec.layers if layer.name in ("enc2", "enc4", "context")} == {
        "enc2": (512, height // 8, width // 8),
        "enc4": (2048, height // 8, width // 8),
        "context": (256, height // 8, width // 8),
    }


def test_the_vision_transformer_lacks_nothing_but_the_class_token_and_its_place() -> None:
    with torch.device("meta"):
        block = nn.TransformerEncoderLayer(192, 3, 768, activation="gelu", norm_first=True)
        others = [nn.Conv2d(3, 192, 16, stride=16), nn.LayerNorm(192), nn.Linear(192, 1000)]
        torch_has = 12 * size([block]) + size(others) + 196 * 192
    parameters = spec_of("vit_tiny").cost().parameters
    assert parameters == torch_has
    assert parameters + 192 + 192 == 5_717_416  # timm's vit_tiny_patch16_224


def test_the_vision_transformer_with_a_class_token_has_the_published_parameters_but_for_the_place_of_the_token() -> (
    None
):
    cost = spec_of("vit_base").cost()
    assert cost.parameters + 768 == 86_567_656  # ViT_B_16_Weights: "num_params"
    assert cost.flops / 2e9 == pytest.approx(17.56, abs=0.01)  # "_ops"


def test_the_network_for_tables_has_the_parameters_of_its_torch_modules() -> None:
    with torch.device("meta"):
        sizes = (32, 256, 256, 256)
        layers = [
            module
            for before, after in pairwise(sizes)
            for module in (nn.Linear(before, after, bias=False), nn.BatchNorm1d(after))
        ]
        heads = {"kind": nn.Linear(256, 4), "amount": nn.Linear(256, 1), "risk": nn.Linear(256, 1)}
        wanted = {task: size([*layers, head]) for task, head in heads.items()}
    assert {task: amount.parameters for task, amount in spec_of("mlp").cost().tasks.items()} == wanted


@pytest.mark.parametrize("name", NAMES)
def test_the_compiled_network_has_the_parameters_and_shapes_of_its_spec(name: str) -> None:
    spec = spec_of(name)
    made = load_model_class(compile_spec(spec)["model.py"], name)
    with torch.device("meta"):
        model = made()
        outputs = model(torch.empty(2, *spec.data.shape))
    assert size([model]) == spec.cost().parameters
    assert {task: tuple(output.shape[1:]) for task, output in outputs.items()} == {
        task.name: task.head.shape for task in spec.tasks
    }


def test_the_compiled_code_is_clean(tmp_path: Path) -> None:
    for name in NAMES:
        for file, text in compile_spec(spec_of(name)).items():
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / file).write_text(text, encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    ignored = ["--extend-ignore", "D,E501"]  # as for generated/
    done = subprocess.run([*ruff, *ignored, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    ruff[3:4] = ["format", "--check"]
    done = subprocess.run([*ruff, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_library_is_laid_out_in_the_one_style() -> None:
    command = [sys.executable, "-m", "mtsldsl", "fmt", "--check", str(LIBRARY)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_definition_means_the_same_in_every_file_so_that_several_can_be_imported() -> None:
    meanings: dict[str, set[str]] = {}
    for name in NAMES:
        for statement in parse(read_source(LIBRARY / f"{name}.mtl")).statements:
            if isinstance(statement, Definition) and statement.kind.text == "block":
                meanings.setdefault(statement.name.text, set()).add(statement.span.text)
    assert {name: texts for name, texts in meanings.items() if len(texts) > 1} == {}


def test_the_page_of_the_library_says_what_its_networks_cost() -> None:
    page = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)\.mtl` \|.*\| ([\d,]+) \|$", page, re.M)
    assert {name: int(number.replace(",", "")) for name, number in rows} == {
        name: next(iter(spec_of(name).cost().tasks.values())).parameters for name in NAMES
    }


def test_the_page_of_the_library_says_what_all_tasks_together_cost() -> None:
    page = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
    said = re.findall(r"([\d,]+)(?: parameters)? in `(\w+)\.mtl`", page)
    assert {name for _, name in said} == {"mmoe", "cgc", "ple", "mtan"}
    for number, name in said:
        assert spec_of(name).cost().parameters == int(number.replace(",", ""))


# Imported as part of the program

IMPORTING = """mtl 1
import "{path}"
data arrays {{
  path  = "x.npz"
  input = image(3, 64, 64)
}}
task kind {{
  target = classes(10)
  head   = adaptive_avg_pool2d(1) | flatten | linear(10)
}}
{rest}
train {{
  epochs = 1
}}
"""


def importing(path: str, rest: str = "") -> str:
    return IMPORTING.format(path=path, rest=rest)


def test_a_spec_anywhere_imports_the_library_by_the_name_of_the_program(tmp_path: Path) -> None:
    (tmp_path / "mine.mtl").write_text(importing("mtsldsl/resnet34.mtl"), encoding="utf-8")
    found = load(tmp_path / "mine.mtl")
    whole = load(LIBRARY / "resnet34.mtl")
    assert found.backbone.layers == whole.backbone.layers
    bundled = loads(self_contained(found).source.text)
    assert bundled.backbone.layers == found.backbone.layers
    assert bundled.cost() == found.cost()


def test_a_text_without_a_place_imports_it_too() -> None:
    assert loads(importing("mtsldsl/resnet18.mtl")).backbone.layers == load(LIBRARY / "resnet18.mtl").backbone.layers


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        ("mtsldsl/resnt18.mtl", "did you mean `mtsldsl/resnet18.mtl`?"),
        ("mtsldsl/zzz.mtl", "cgc.mtl, deeplab.mtl, mlp.mtl"),
    ],
)
def test_a_name_that_the_library_does_not_have_is_reported_with_those_it_has(path: str, remedy: str) -> None:
    with pytest.raises(MtlError) as caught:
        loads(importing(path, "backbone {\n  stem = relu\n}"))
    assert [found.code for found in caught.value.diagnostics] == ["MTL113"]
    assert remedy in caught.value.diagnostics[0].remedy


def test_a_folder_of_ones_own_that_is_called_so_is_named_from_here(tmp_path: Path) -> None:
    (tmp_path / "mtsldsl").mkdir()
    (tmp_path / "mtsldsl" / "resnet18.mtl").write_text("mtl 1\nbackbone {\n  own = relu\n}\n", encoding="utf-8")
    for path, first in (("./mtsldsl/resnet18.mtl", "own"), ("mtsldsl/resnet18.mtl", "stem")):
        (tmp_path / "mine.mtl").write_text(importing(path), encoding="utf-8")
        assert load(tmp_path / "mine.mtl").layers[0].name == first

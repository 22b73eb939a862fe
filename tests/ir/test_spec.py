"""What the blocks of a text mean, with their defaults."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mtsldsl.datasets.registry import DATASETS, data_kind
from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import dumps, load, loads
from mtsldsl.ir import Spec
from mtsldsl.ir.normal import digest, normal_form
from mtsldsl.language import Named
from mtsldsl.language.holding import named
from mtsldsl.language.kinds import Call, Required
from mtsldsl.language.naming import GENERATED_NAMES, MODULE_NAMES
from mtsldsl.language.schema import BLOCKS, LOSSES, METRICS, OPTIMIZERS
from mtsldsl.language.targets import TARGETS
from mtsldsl.methods.registry import methods
from mtsldsl.sharing import Sharing
from tests.ir.specs import BACKBONE, BODY, TASKS, text
from tests.timing import Measure, clocked, held_in_proportion, held_within

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.mtl"))

VECTOR = """\
mtl 1
data arrays {{
  path  = "features.npz"
  input = features(16)
}}
task kind {{
  target = {target}
  head   = linear({width})
}}
backbone {{
  stem = linear(8) | relu
}}
train {{ epochs = 3 }}
"""


def vector(target: str, width: int) -> Spec:
    return loads(VECTOR.format(target=target, width=width))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_spec_of_the_project_is_read_back_from_its_text(path: Path) -> None:
    spec = load(path)
    assert loads(dumps(spec)) == spec
    assert spec.source.text == path.read_bytes().decode()


def test_a_file_that_is_not_there_is_a_plain_error(tmp_path: Path) -> None:
    with pytest.raises(MtlError) as caught:
        load(tmp_path / "none.mtl")
    assert caught.value.diagnostics[0].code == "MTL703"


def test_what_a_text_leaves_out_has_the_documented_defaults() -> None:
    spec = loads(BODY)
    assert spec.data.options == {"images": 512, "validation": 0.1, "test": 0.2, "seed": 0}
    assert (spec.data.batch, spec.data.augment, spec.structure, spec.history) == (16, (), None, ())
    assert spec.train.optimizer.name == "adam"
    assert (spec.train.scheduler, spec.train.balance.name, spec.train.precision, spec.train.seed) == (
        None,
        "equal",
        "fp32",
        0,
    )
    segment = spec.task("segment")
    assert (segment.target.ignore, segment.weight, segment.field, segment.loss) == (
        255,
        1.0,
        "label",
        Named("cross_entropy", {"label_smoothing": 0.0, "weight": ()}),
    )
    assert [metric.name for metric in segment.metrics] == ["miou", "pixel_accuracy"]


def test_the_structure_has_the_documented_defaults() -> None:
    structure = loads(text("structure mtsl { phases = [1, 3] }")).structure
    assert structure is not None
    assert structure.values["similarity"] == Named("cka", {"samples": 800, "kernel": "linear", "debiased": True})
    assert (structure.settings.threshold, structure.settings.align, structure.values["transfer"]) == (
        0.8,
        0.2,
        Named("average"),
    )
    assert structure.settings.exact_tasks == 18


def test_one_number_of_epochs_is_for_every_phase_and_the_learning_rate_is_the_optimizers() -> None:
    structure = loads(
        text("structure mtsl {\n  phases = [1, 3]\n  transfer = amalgamate(epochs=2)\n}\n"),
        overrides={"train.optimizer": "sgd(lr=0.5)"},
    ).structure
    assert structure is not None
    assert structure.values["transfer"].arguments == {"epochs": (2, 2), "lr": 0.5}


def test_a_structure_labelled_none_is_checked_and_has_no_effect() -> None:
    assert loads(text("structure none { phases = [1, 300] }")).structure is None
    assert loads(text("structure none { }")).structure is None  # what `structure transference { }` is made of
    with pytest.raises(MtlError):
        loads(text("structure none { phase = [1] }"))


def test_a_cosine_lasts_for_all_epochs_unless_it_says_otherwise() -> None:
    half, own = (loads(BODY, overrides={"train.scheduler": value}) for value in ("cosine", "cosine(T_max=2)"))
    assert half.train.scheduler is not None
    assert own.train.scheduler is not None
    assert (half.train.scheduler.arguments["T_max"], own.train.scheduler.arguments["T_max"]) == (4, 2)


def test_metrics_of_a_vector_need_no_pixels() -> None:
    task = vector("classes(5)", 5).tasks[0]
    assert [metric.name for metric in task.metrics] == ["accuracy", "macro_f1"]
    assert (task.target.ignore, task.field, task.head.shape) == (None, "kind", (5,))


def test_ignoring_no_label_can_be_said() -> None:
    spec = loads(BODY, overrides={"task.segment.target": "classes(5, ignore=none)"})
    assert spec.task("segment").target.ignore is None


def test_without_a_sharing_block_every_task_is_alone() -> None:
    assert loads(BODY).sharing == Sharing.each(BACKBONE, TASKS)


def test_ranges_and_words_of_the_sharing_block_mean_what_they_say() -> None:
    spec = loads(text("sharing {\n  stem..enc1 = all\n  enc2 = edge + segment, normal + depth\n}\n"))
    s = spec.sharing
    assert s["enc1"] == (frozenset(TASKS),)
    assert s["enc2"] == (frozenset({"segment", "edge"}), frozenset({"depth", "normal"}))
    assert len(s["dec1"]) == 4


def test_history_is_kept_and_has_no_effect_on_the_network() -> None:
    history = "history {\n  merge(epoch=3, layer=stem, tasks=depth + edge, similarity=0.934)\n}\n"
    spec, plain = loads(text(history)), loads(text())
    assert [(each.epoch, *each.fields.values()) for each in spec.history] == [(3, "stem", ("depth", "edge"), 0.934)]
    assert (spec.sharing, digest(spec)) == (plain.sharing, digest(plain))


def test_comments_layout_and_spelled_out_defaults_do_not_change_the_meaning() -> None:
    other = BODY.replace("epochs = 4", "# four\n  epochs=4\n  seed = 0\n  optimizer = adam(lr=1e-3)")
    other = other.replace("stem = conv2d(8, 3, stride=2)", "stem = conv2d(8, [3, 3], 2, padding=1)")
    assert loads(other) == loads(BODY)
    assert digest(loads(other)) == digest(loads(BODY))
    assert normal_form(loads(other)) == normal_form(loads(BODY))


def test_the_digest_sees_every_part_of_the_meaning() -> None:
    changes = {
        "train.epochs": 5,
        "train.optimizer": "sgd",
        "task.depth.loss": "mse",
        "task.depth.weight": 2,
        "data.batch": 8,
        "backbone.stem": "conv2d(8, 5, stride=2) | batch_norm | relu",
        "data.augment": "[hflip]",
    }
    digests = {digest(loads(BODY, overrides={path: value})) for path, value in changes.items()}
    digests |= {digest(loads(BODY)), digest(loads(text("sharing { stem = all }")))}
    digests |= {digest(loads(text("structure mtsl { phases = [1] }")))}
    assert len(digests) == len(changes) + 3


def test_order_and_line_ends_of_blocks_do_not_matter() -> None:
    header, *blocks = BODY.split("\n\n")
    assert loads("\n\n".join([header, *blocks[:1], *reversed(blocks[5:]), *blocks[1:5]])) == loads(BODY)
    assert loads(BODY.replace("\n", "\r\n")) == loads(BODY)


def test_every_kind_of_target_has_losses_metrics_and_fields() -> None:
    for kind, rule in TARGETS.items():
        assert {each.name for each in rule.losses} == {each.name for each in LOSSES[kind].rules}
        defaults = {*rule.default_metrics, *rule.default_for_samples, *rule.default_for_positive}
        assert defaults <= {each.name for each in METRICS[kind].rules}
        assert all(name not in rule.default_for_samples for name in ("miou", "pixel_accuracy"))
        kinds = [known for known in map(data_kind, DATASETS) if known.dense]
        assert kinds
        assert kind == "reconstruct" or all(known.field_for(kind) for known in kinds)


def test_every_default_of_the_schema_is_a_value_that_the_schema_takes() -> None:
    kinds = [data_kind(name).block for name in DATASETS]
    for schemas in (*BLOCKS.values(), kinds, [each.block for each in methods()]):
        for schema in schemas:
            for key in schema.keys or ():
                if isinstance(key.kind, Call) and isinstance(key.default, str):
                    assert named(key.kind, key.default).name == key.default
                assert key.summary
                assert isinstance(key.default, Required) or key.default is not None or key.otherwise


def test_optimizers_have_the_names_and_defaults_of_torch() -> None:
    torch = pytest.importorskip("torch")
    parameter = torch.nn.Parameter(torch.zeros(1))
    for rule in OPTIMIZERS.rules:
        cls = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "radam": "RAdam"}[rule.name]
        defaults = getattr(torch.optim, cls)([parameter]).defaults
        ours = {key.name: key.default for key in rule.keys}
        assert {name: defaults[name] for name in ours} == ours


def test_layers_and_tasks_cannot_take_the_names_that_modules_have() -> None:
    nn = pytest.importorskip("torch.nn")
    names = {name for name in (*dir(nn.Module()), *dir(nn.ModuleDict())) if not name.startswith("_")}
    assert names <= MODULE_NAMES | GENERATED_NAMES


def test_reading_a_spec_brings_in_no_heavy_library() -> None:
    script = (
        "import sys, mtsldsl.editing; light = set(sys.modules); "
        f"mtsldsl.editing.load({str(SPECS[0])!r}).cost(); "
        "heavy = {'torch', 'numpy', 'jinja2', 'rich'}; "
        "sys.exit(bool((heavy | {'lark'}) & light or heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def long_spec(layers: int) -> str:
    lines = "".join(
        f"  layer{n} = conv2d(8, 3) | batch_norm | relu | concat(stem) | conv2d(8, 1)\n" for n in range(layers)
    )
    return BODY.replace("}\n\ntrain", f"{lines}}}\n\ntrain")


def test_a_thousand_layers_are_read_in_time_that_grows_linearly() -> None:
    def reading(layers: int) -> Measure:
        text = long_spec(layers)
        return clocked(lambda: loads(text))

    held_in_proportion(reading, 1000)


@pytest.mark.parametrize("name", ["mtl111_too_large", "mtl111_too_large_branches", "mtl111_too_deep"])
def test_what_expands_too_far_is_refused_as_soon_as_a_thousand_layers_are_read(name: str) -> None:
    def refuse() -> None:
        with pytest.raises(MtlError):
            load(Path(__file__).parent / "errors" / f"{name}.mtl")

    large = long_spec(1000)
    held_within(1, clocked(refuse), clocked(lambda: loads(large)))

"""`module(..., taps=[...])`: outputs are read by name, nothing else can be read of such a layer, and shapes are theirs."""

from __future__ import annotations

import copy
import pickle

import pytest

from mtsldsl.codegen import model_source
from mtsldsl.compare.merge_names import Renames, _places
from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.ir.normal import digest
from mtsldsl.language.operators.own import Outputs
from tests.codegen.examples import example

TEXT = """\
mtl 1

data arrays {{
  path  = "x.npz"
  input = image(3, 16, 16)
}}

task a {{
  target = values(1)
  head   = {head}
}}

backbone {{
  net = module("a.b:C", {taps})
  {layer}
}}

train {{
  epochs = 1
}}
"""
TAPS = "taps=[low(4, 8, 8), flat(6), tokens(16, 8)]"
HEAD = "net.low | conv2d(1, 1)"


def network(layer: str = "", head: str = HEAD, taps: str = TAPS) -> Spec:
    return loads(TEXT.format(layer=layer, head=head, taps=taps))


def reports(layer: str = "", head: str = HEAD, taps: str = TAPS) -> list[tuple[str, str]]:
    with pytest.raises(MtlError) as refused:
        network(layer, head, taps)
    return [(found.code, found.cause) for found in refused.value.diagnostics]


def test_an_output_has_the_shape_that_is_declared_and_the_layer_all_their_numbers() -> None:
    spec = network("one = net.flat\n  two = net.tokens | mean_tokens\n  three = concat(net.flat, two)")
    shapes = {layer.name: layer.body.shape for layer in spec.layers}
    assert shapes == {"net": (4 * 64 + 6 + 128,), "one": (6,), "two": (8,), "three": (14,)}
    assert spec.backbone.reads["three"] == ("net", "two")
    assert spec.cost().layers["one"].one.flops == 0


def test_where_outputs_begin_follows_from_the_sizes_before_them() -> None:
    starts = {
        name: network(f"one = net.{name}", HEAD).layer("one").body.steps[0].arguments["start"]
        for name in ("low", "flat", "tokens")
    }
    assert starts == {"low": 0, "flat": 256, "tokens": 262}


@pytest.mark.parametrize(
    ("layer", "cause"),
    [
        ("one = conv2d(4, 3)", "`conv2d` reads a layer with 3 outputs, and does not say which"),
        ("one = net | relu", "`relu` reads a layer with 3 outputs, and does not say which"),
        ("one = concat(net.flat, net)", "`concat` reads a layer with 3 outputs, and does not say which"),
        ("one = residual(relu)", "`relu` reads a layer with 3 outputs, and does not say which"),
        ("one = net.hihg | relu", "there is no output `hihg`"),
        ("one = net.low | relu\n  two = one.low", "there is no output `low`, as the layer has a single one"),
        ("one = parallel(a=net, b=net)", "the alternative `a` has 3 outputs"),
    ],
)
def test_nothing_reads_such_a_layer_without_the_name_of_an_output(layer: str, cause: str) -> None:
    assert reports(layer) == [("MTL313", cause)]


def test_a_module_with_outputs_ends_its_layer_and_is_no_head() -> None:
    assert reports(taps=f"{TAPS}) | relu | linear(2") == [
        ("MTL313", "`relu` reads a layer with 3 outputs, and does not say which")
    ]
    (code, _), *rest = reports(head='module("a.b:C", taps=[x(1)])')
    assert (code, rest) == ("MTL313", [])
    assert [code for code, _ in reports(head=f'net.low | module("a.b:C", {TAPS})')] == ["MTL303"]


@pytest.mark.parametrize(
    ("taps", "code"),
    [
        ("taps=[]", "MTL202"),
        ("taps=[low]", "MTL107"),
        ("taps=[low(0)]", "MTL202"),
        ("taps=[low(1, 2, 3, 4)]", "MTL201"),
        ("taps=[low(4), low(5)]", "MTL301"),
        ("taps=low(4)", "MTL201"),
        ("taps=[low(4)], out=4", "MTL205"),
        ("", "MTL204"),
    ],
)
def test_outputs_have_names_and_one_to_three_sizes(taps: str, code: str) -> None:
    assert reports(taps=taps, head="flatten | linear(1)")[0][0] == code


def test_an_output_of_a_broken_layer_is_no_second_error() -> None:
    assert [code for code, _ in reports("two = net.low | relu", taps="taps=[low(0)]")] == ["MTL202"]
    assert [code for code, _ in reports("two = one.low | relu\n  one = net.low")] == ["MTL304"]


def test_the_digest_sees_names_and_sizes_and_not_what_specs_without_outputs_never_said() -> None:
    found = {digest(network(taps=TAPS.replace(*each))) for each in (("x", "x"), ("flat(6)", "flat(7)"))}
    found.add(digest(network(taps=TAPS.replace("flat", "other"))))
    assert len(found) == 3
    assert "taps" not in dict(example("own").layer("fuse").body.steps[-1].arguments)


def test_the_shape_of_outputs_is_that_of_all_numbers_and_a_copy_has_the_same_outputs() -> None:
    shape = Outputs({"a": (2, 3), "b": (4,)})
    assert shape == (10,)
    for made in (copy.deepcopy(shape), pickle.loads(pickle.dumps(shape))):
        assert dict(made.taps) == {"a": (2, 3), "b": (4,)}


def test_names_of_outputs_are_text_in_the_generated_code() -> None:
    assert '_joined(self.module1(x), ("low", "flat", "tokens"))' in model_source(network())


def test_a_layer_that_is_renamed_is_renamed_where_an_output_of_it_is_read() -> None:
    """And so are the layers between which weights go."""
    text = TEXT.format(layer="one = net.flat | linear(2)", head=HEAD, taps=TAPS)
    text = text.replace("epochs = 1", 'epochs = 1\n  init = start("x", map=timm, since=net, until=one)')
    renames = Renames(layers={"net": "trunk", "one": "first"}, tasks={})
    places = [(name.text, name.span.text) for name, new in _places(Source("x.mtl", text), renames) if name.text in new]
    assert places == [("net", "net"), ("net", "net"), ("one", "one"), ("net", "net"), ("net", "net"), ("one", "one")]

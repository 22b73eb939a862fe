"""`import "blocks.mtl"`: what comes along, what does not, and where a path may lead."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtsldsl.diagnostics import Diagnostic, MtlError, Source
from mtsldsl.editing import dumps, load, loads, loads_source, rewritten
from mtsldsl.editing.bundle import self_contained
from mtsldsl.ir import Spec
from mtsldsl.ir.imports import MOST_FILES
from mtsldsl.ir.normal import digest
from mtsldsl.sharing import Sharing
from tests.ir.decisions import merge

BLOCKS = """\
mtl 1

let width = 8        # channels of the first layer

block cbr(channels, stride=1) =
    conv2d(channels, 3, stride=stride)  # no bias
    | batch_norm | relu
"""
NETWORK = """\
mtl 1
import "blocks.mtl"

backbone {
  stem = cbr(width, stride=2)
  enc1 = cbr(width * 2)
}

train {
  epochs = 700
}
"""
REST = """\
data scenes {
  input = image(3, 32, 32)
}

task depth {
  target = values(1)
  head   = cbr(4) | conv2d(1, 1) | resize_as(image)
}

task edge {
  target = binary(1)
  head   = conv2d(1, 1) | resize_as(image)
}

train {
  epochs = 4
}
"""
TOP = f'# Two tasks.\nmtl 1\n\nimport "library/network.mtl"  # the layers\n\n{REST}'
FLAT = BLOCKS + NETWORK.split("\n\n")[1] + "\n\n" + REST


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of three files: top.mtl imports library/network.mtl, and that imports library/blocks.mtl."""
    (tmp_path / "project" / "library").mkdir(parents=True)
    (tmp_path / "project" / "pyproject.toml").write_text("")
    for name, text in {"top": TOP, "library/network": NETWORK, "library/blocks": BLOCKS}.items():
        write(tmp_path / "project" / f"{name}.mtl", text)
    return tmp_path / "project"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
    return path


def problems(path: Path) -> list[tuple[str, str, int]]:
    """Code, file name and line of everything that is reported."""
    with pytest.raises(MtlError) as caught:
        load(path)
    return [
        (found.code, Path(found.span.source.name).name, found.span.line)
        for found in caught.value.diagnostics
        if found.span is not None
    ]


def test_constants_macros_and_the_backbone_come_along_and_all_else_is_ignored(project: Path) -> None:
    spec = load(project / "top.mtl")
    assert spec == loads(FLAT)
    assert digest(spec) == digest(loads(FLAT))
    assert (spec.train.epochs, [layer.name for layer in spec.layers]) == (4, ["stem", "enc1"])


def test_a_whole_spec_can_be_imported(project: Path) -> None:
    write(project / "other.mtl", TOP.replace("library/network.mtl", "top.mtl").replace("epochs = 4", "epochs = 9"))
    assert load(project / "other.mtl") == attrs.evolve(
        load(project / "top.mtl"), train=load(project / "other.mtl").train
    )


def test_a_backbone_of_ones_own_comes_first(project: Path) -> None:
    write(project / "top.mtl", TOP + "\nbackbone {\n  only = cbr(width)\n}\n")
    assert [layer.name for layer in load(project / "top.mtl").layers] == ["only"]


def test_dumps_gives_the_text_of_the_file_itself(project: Path) -> None:
    spec = load(project / "top.mtl")
    assert dumps(spec) == TOP
    assert loads(dumps(spec), path=project / "top.mtl") == spec


def test_a_text_without_a_place_cannot_import(project: Path) -> None:
    with pytest.raises(MtlError) as caught:
        loads(TOP)
    assert [found.code for found in caught.value.diagnostics] == ["MTL113"]
    assert "path=" in caught.value.diagnostics[0].remedy


def test_imports_may_be_read_from_elsewhere_than_the_disk(project: Path) -> None:
    texts = {
        project / "old" / "library" / "network.mtl": NETWORK,
        project / "old" / "library" / "blocks.mtl": BLOCKS.replace("width = 8", "width = 4"),
    }
    source = Source("HEAD:top.mtl", TOP, path=str(project / "old" / "top.mtl"))
    spec = loads_source(source, reader=lambda path: Source(str(path), texts[path]))
    assert spec.layer("stem").body.shape[0] == 4


def test_layers_have_their_place_in_the_imported_file(project: Path) -> None:
    span = load(project / "top.mtl").layer("enc1").span
    assert span is not None
    assert (Path(span.source.name), span.line) == (project / "library" / "network.mtl", 6)


def test_names_of_files_are_beside_the_one_that_a_person_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    spec = load("top.mtl")
    assert spec.library is not None
    assert [file.source.name for file in spec.library.files] == ["library/blocks.mtl", "library/network.mtl"]


def test_what_is_wrong_inside_an_imported_file_is_reported_there(project: Path) -> None:
    write(project / "library" / "blocks.mtl", BLOCKS.replace("batch_norm", "batchnorm"))
    assert problems(project / "top.mtl") == [("MTL107", "blocks.mtl", 7)]
    write(project / "library" / "blocks.mtl", BLOCKS.replace("= 8", "= = 8"))
    assert problems(project / "top.mtl") == [("MTL001", "blocks.mtl", 3)]
    write(project / "library" / "blocks.mtl", BLOCKS.replace("mtl 1", "mtl 2"))
    assert problems(project / "top.mtl") == [("MTL007", "blocks.mtl", 1)]


def test_a_name_that_two_files_define_names_both_places(project: Path) -> None:
    write(project / "top.mtl", TOP + "\nlet width = 16\n")
    with pytest.raises(MtlError) as caught:
        load(project / "top.mtl")
    (found,) = caught.value.diagnostics
    assert found.span is not None
    assert (found.code, found.span.line) == ("MTL108", TOP.count("\n") + 2)
    assert f"line 3 of {project / 'library' / 'blocks.mtl'}" in found.cause


def test_two_files_may_hold_the_very_same_definition(project: Path) -> None:
    again = BLOCKS.replace("\n    | batch_norm | relu", " | batch_norm | relu").replace("  # no bias", "")
    write(project / "library" / "more.mtl", again)
    write(project / "top.mtl", TOP.replace("# the layers", '# the layers\nimport "library/more.mtl"'))
    assert load(project / "top.mtl") == loads(FLAT)


def test_a_file_that_two_others_import_is_read_once(project: Path) -> None:
    write(project / "top.mtl", TOP.replace("# the layers", '# the layers\nimport "library/blocks.mtl"'))
    assert load(project / "top.mtl") == loads(FLAT)


def test_macros_of_an_imported_file_may_name_its_own_layers(project: Path) -> None:
    write(project / "library" / "network.mtl", NETWORK + "\nblock skip() = concat(stem)\n")
    assert load(project / "top.mtl") == loads(FLAT)
    write(project / "top.mtl", TOP + "\nbackbone {\n  only = cbr(width)\n}\n")
    assert load(project / "top.mtl").layers
    write(project / "top.mtl", TOP + "\nbackbone {\n  only = skip\n}\n")
    assert problems(project / "top.mtl") == [("MTL107", "network.mtl", 13)]


# Where a path may lead


def test_the_project_is_the_nearest_folder_with_a_mark(project: Path) -> None:
    write(project.parent / "outside.mtl", BLOCKS)
    write(project / "specs" / "deep" / "top.mtl", TOP.replace("library/", "../../library/"))
    assert load(project / "specs" / "deep" / "top.mtl") == loads(FLAT)
    write(project / "top.mtl", TOP.replace("library/network.mtl", "../outside.mtl"))
    assert problems(project / "top.mtl") == [("MTL114", "top.mtl", 4)]


def test_without_a_mark_the_project_is_the_folder_of_the_spec(tmp_path: Path) -> None:
    write(tmp_path / "shared.mtl", NETWORK)
    write(tmp_path / "blocks.mtl", BLOCKS)
    write(tmp_path / "specs" / "top.mtl", TOP.replace("library/network.mtl", "../shared.mtl"))
    assert problems(tmp_path / "specs" / "top.mtl") == [("MTL114", "top.mtl", 4)]
    (tmp_path / ".git").mkdir()
    assert load(tmp_path / "specs" / "top.mtl") == loads(FLAT)


def test_a_link_does_not_lead_out_of_the_project(project: Path) -> None:
    outside = write(project.parent / "secret.mtl", BLOCKS)
    (project / "library" / "blocks.mtl").unlink()
    (project / "library" / "blocks.mtl").symlink_to(outside)
    assert problems(project / "top.mtl") == [("MTL114", "network.mtl", 2)]


def test_a_linked_folder_is_followed_inside_the_project(project: Path) -> None:
    (project / "linked").symlink_to(project / "library")
    write(project / "top.mtl", TOP.replace("library/", "linked/"))
    assert load(project / "top.mtl") == loads(FLAT)


def test_a_spec_that_is_itself_a_link_imports_from_where_it_lies(project: Path, tmp_path: Path) -> None:
    (tmp_path / "link.mtl").symlink_to(project / "top.mtl")
    assert load(tmp_path / "link.mtl") == loads(FLAT)


def test_links_in_a_circle_and_what_is_no_file_are_refused(project: Path) -> None:
    (project / "library" / "blocks.mtl").unlink()
    (project / "library" / "blocks.mtl").symlink_to("blocks.mtl")
    assert problems(project / "top.mtl") == [("MTL113", "network.mtl", 2)]
    (project / "library" / "blocks.mtl").unlink()
    (project / "library" / "blocks.mtl").mkdir()
    assert problems(project / "top.mtl") == [("MTL113", "network.mtl", 2)]


@pytest.mark.skipif(not hasattr(__import__("os"), "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(project: Path) -> None:
    import os

    (project / "library" / "blocks.mtl").unlink()
    os.mkfifo(project / "library" / "blocks.mtl")
    assert problems(project / "top.mtl") == [("MTL113", "network.mtl", 2)]


def test_circles_are_refused(project: Path) -> None:
    write(project / "library" / "blocks.mtl", BLOCKS + 'import "../top.mtl"\n')
    assert problems(project / "top.mtl") == [("MTL115", "blocks.mtl", 8)]


def test_a_long_row_of_imports_is_refused(project: Path) -> None:
    for number in range(MOST_FILES + 5):
        write(project / f"part{number}.mtl", f'mtl 1\nimport "part{number + 1}.mtl"\n')
    write(project / "top.mtl", TOP.replace("library/network.mtl", "part0.mtl"))
    assert problems(project / "top.mtl") == [("MTL111", f"part{MOST_FILES - 1}.mtl", 2)]


def test_a_lattice_of_imports_is_followed_once(project: Path) -> None:
    for level in range(40):
        for side in "ab":
            text = "".join(f'import "{level + 1}{other}.mtl"\n' for other in "ab" if level < 39)
            write(project / f"{level}{side}.mtl", f"mtl 1\n{text}")
    write(project / "39a.mtl", NETWORK.replace("blocks.mtl", "library/blocks.mtl"))
    write(project / "39b.mtl", "mtl 1\n")
    write(project / "top.mtl", TOP.replace("library/network.mtl", "0a.mtl"))
    assert load(project / "top.mtl") == loads(FLAT)


def test_a_name_that_is_too_long_is_refused(project: Path) -> None:
    write(project / "top.mtl", TOP.replace("library/network.mtl", f"{'a' * 5000}.mtl"))
    assert problems(project / "top.mtl") == [("MTL113", "top.mtl", 4)]


paths = st.lists(
    st.sampled_from(["..", ".", "/", "library", "blocks.mtl", "network.mtl", "a", "\\", "C:", "~", "\x00", "é", " "]),
    max_size=6,
).map("/".join)


@given(paths)
@settings(max_examples=60, deadline=None)
def test_whatever_path_is_written_nothing_outside_the_project_is_read(
    tmp_path_factory: pytest.TempPathFactory, written: str
) -> None:
    root = tmp_path_factory.mktemp("root", numbered=True)
    write(root / "blocks.mtl", "mtl 1\nlet secret = = 1\n")
    top = write(root / "project" / "specs" / "top.mtl", "mtl 1\n")
    write(root / "project" / "pyproject.toml", "")
    read: list[Path] = []

    def reader(path: Path) -> Source:
        read.append(path)
        raise MtlError.of("MTL703", "nothing is read here", "look elsewhere")

    quoted = "".join(f"\\u{ord(each):04x}" if each in '\\"' or each < " " else each for each in written)
    with pytest.raises(MtlError):
        loads_source(Source("top.mtl", f'mtl 1\nimport "{quoted}"\n', path=str(top)), reader=reader)
    assert all(path.is_relative_to(root / "project") for path in read)


# Settings and rewrites


def test_a_constant_of_an_imported_file_can_be_set(project: Path) -> None:
    spec = load(project / "top.mtl", {"width": 4, "train.epochs": 2})
    assert (spec.layer("stem").body.shape[0], spec.train.epochs) == (4, 2)
    assert (project / "library" / "blocks.mtl").read_text() == BLOCKS
    assert spec.source.text == TOP.replace("epochs = 4", "epochs = 2")


def test_a_layer_of_an_imported_backbone_can_be_set_and_nothing_that_is_ignored(project: Path) -> None:
    assert load(project / "top.mtl", {"backbone.enc1": "cbr(3)"}).layer("enc1").body.shape[0] == 3
    with pytest.raises(MtlError) as caught:
        load(project / "top.mtl", {"widht": 4})
    assert [found.code for found in caught.value.diagnostics] == ["MTL112"]
    assert "`width`" in caught.value.diagnostics[0].remedy


def merged(spec: Spec) -> Sharing:
    return spec.sharing.merge("stem", ["depth", "edge"])


def test_a_rewrite_touches_the_file_itself_alone(project: Path) -> None:
    spec = load(project / "top.mtl")
    decision = merge(1, "stem", ("depth", "edge"), 0.5)
    after = rewritten(spec, merged(spec), [decision])
    assert after.source.text.startswith(TOP)
    assert (project / "library" / "network.mtl").read_text() == NETWORK
    write(project / "top.mtl", after.source.text)
    assert load(project / "top.mtl") == after


def test_a_rewrite_does_not_read_the_imported_files_again(project: Path) -> None:
    spec = load(project / "top.mtl")
    (project / "library" / "blocks.mtl").unlink()
    assert spec.with_sharing(merged(spec)).sharing == merged(spec)


# One text that needs no other


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_self_contained_text_says_the_same_without_the_files(project: Path, ending: str) -> None:
    write(project / "top.mtl", TOP.replace("\n", ending))
    spec = load(project / "top.mtl", {"width": 4})
    whole = self_contained(spec)
    assert whole == spec == loads(dumps(whole))
    assert digest(whole) == digest(spec)
    assert dumps(whole).replace("\r\n", "\n").startswith('# Two tasks.\nmtl 1\n\n# import "library/network.mtl"  # the')
    assert "let width = 4" in dumps(whole)
    assert "700" not in dumps(whole)
    assert ("\r\n" in dumps(whole), dumps(whole).count("\n")) == (ending == "\r\n", dumps(whole).count(ending))


def test_a_self_contained_text_can_be_rewritten(project: Path) -> None:
    whole = self_contained(load(project / "top.mtl"))
    assert loads(dumps(whole.with_sharing(merged(whole)))).sharing == merged(whole)


def test_a_spec_without_imports_is_self_contained_as_it_is() -> None:
    spec = loads(FLAT)
    assert self_contained(spec) is spec


names = st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1, max_size=8)


@given(names, st.data())
@settings(max_examples=25, deadline=None)
def test_where_definitions_lie_does_not_change_the_meaning(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("spread", numbered=True)
    known: list[str] = []
    lines: dict[str, str] = {}
    for name in names:
        used = data.draw(st.sampled_from([*known, "relu"]))
        form = data.draw(st.sampled_from([f"let {name} = {used} | tanh", f"block {name}() = {used} * 2 | gelu"]))
        lines[name] = form
        known.append(name)
    homes = {name: data.draw(st.integers(0, 2)) for name in names}
    rest = f"{REST.replace('cbr(4)', 'relu')}\nbackbone {{\n  stem = {' | '.join(names)}\n}}\n"
    for number in range(3):
        text = "mtl 1\n" + (f'import "part{number + 1}.mtl"\n' if number < 2 else "")
        text += "\n".join(lines[name] for name in names if homes[name] == number)
        write(root / f"part{number}.mtl", f"{text}\n{rest if number == 0 else ''}")
    spec = load(root / "part0.mtl")
    assert spec == loads("mtl 1\n" + "\n".join(lines.values()) + f"\n{rest}")
    assert loads(dumps(self_contained(spec))) == spec


def test_checking_a_spec_without_imports_looks_at_no_other_file(tmp_path: Path) -> None:
    path = write(tmp_path / "flat.mtl", FLAT)
    program = (
        "import sys\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event == 'open' else None)\n"
        "from mtsldsl.editing import load\n"
        f"load({str(path)!r})\n"
        "print(*[name for name in opened if name.endswith('.mtl')], sep='\\n')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(path)]


def report_of(text: str, folder: Path) -> Diagnostic:
    """The one problem of a spec in a folder."""
    with pytest.raises(MtlError) as caught:
        loads(f"mtl 1\n{text}", "spec.mtl", path=folder / "spec.mtl")
    (found,) = caught.value.diagnostics
    return found


@pytest.mark.parametrize("first", ["8", "8.0"])
def test_the_same_number_in_other_words_is_another_definition(first: str, tmp_path: Path) -> None:
    other = "8.0" if first == "8" else "8"
    (tmp_path / "a.mtl").write_text(f"mtl 1\nlet w = {first}\nbackbone {{\n  stem = conv2d(8, 3)\n}}\n")
    (tmp_path / "b.mtl").write_text(f"mtl 1\nlet w = {other}\n")
    rest = REST.replace("cbr(4)", "relu")
    assert report_of(f'import "a.mtl"\nimport "b.mtl"\n{rest}', tmp_path).code == "MTL108"


def test_a_file_that_is_no_text_is_called_as_it_is_imported(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "net.mtl").write_bytes(b"mtl 1\nlet a = \xff\n")
    found = report_of(f'import "lib/net.mtl"\n{REST.replace("cbr(4)", "relu")}', tmp_path)
    assert (found.code, str(found.span)) == ("MTL005", "lib/net.mtl:2:9")


@pytest.mark.parametrize(
    ("written", "remedy"),
    [
        ("lib/nte.mtl", "did you mean `lib/net.mtl`?"),
        ("./lib/netz.mtl", "did you mean `lib/net.mtl`?"),
        ("lib/none.mtl", "check the path"),
        ("lost.mtl", "check the path"),
    ],
)
def test_a_file_is_proposed_only_where_its_name_is_alike(written: str, remedy: str, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    for name in ("lib/net.mtl", "t.mtl"):
        (tmp_path / name).write_text("mtl 1\n")
    found = report_of(f'import "{written}"\n{REST.replace("cbr(4)", "relu")}', tmp_path)
    assert (found.code, found.remedy) == ("MTL113", remedy)


def test_a_block_that_calls_the_input_otherwise_is_told_its_name(tmp_path: Path) -> None:
    (tmp_path / "net.mtl").write_text("mtl 1\nblock up() = resize_as(image)\n")
    rest = REST.replace("cbr(4)", "up").replace("image(3", "photo(3").replace("resize_as(image)", "relu")
    layers = "backbone {\n  stem = conv2d(4, 3)\n}\n"
    found = report_of(f'import "net.mtl"\n{rest}{layers}', tmp_path)
    assert (found.code, found.remedy) == ("MTL107", "the input is called `photo`")


@pytest.mark.parametrize("word", ["imports", "include", "imprt"])
def test_a_misspelt_import_is_the_only_report(word: str, tmp_path: Path) -> None:
    (tmp_path / "net.mtl").write_text("mtl 1\nlet width = 8\nbackbone {\n  stem = conv2d(width, 3)\n}\n")
    text = f'mtl 1\n{word} "net.mtl"\n{REST}let wide = 2 * width\n'
    with pytest.raises(MtlError) as caught:
        loads(text, "spec.mtl", path=tmp_path / "spec.mtl")
    assert [found.code for found in caught.value.diagnostics] == ["MTL001"]


def test_a_constant_with_the_name_of_the_input_is_reported_once(tmp_path: Path) -> None:
    (tmp_path / "net.mtl").write_text("mtl 1\nlet image = 3\n")
    rest = REST.replace("cbr(4)", "relu")
    layers = "backbone {\n  stem = conv2d(4, 3) | resize_as(image)\n}\n"
    with pytest.raises(MtlError) as caught:
        loads(f'mtl 1\nimport "net.mtl"\n{rest}{layers}', "spec.mtl", path=tmp_path / "spec.mtl")
    assert [found.code for found in caught.value.diagnostics] == ["MTL108"]


def test_a_file_that_is_not_there_is_likened_to_a_misspelt_one_alone(project: Path) -> None:
    write(project / "library" / "network.mtl", NETWORK.replace("blocks.mtl", "blcks.mtl"))
    with pytest.raises(MtlError) as caught:
        load(project / "top.mtl")
    assert "did you mean `blocks.mtl`?" in str(caught.value)
    write(project / "library" / "network.mtl", NETWORK.replace("blocks.mtl", "networks.mtl"))
    with pytest.raises(MtlError) as caught:
        load(project / "top.mtl")
    assert "did you mean `" not in str(caught.value.diagnostics[0].remedy)

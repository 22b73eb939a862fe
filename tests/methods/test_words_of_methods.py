"""What is a method's own stands in its folder: its fields, its events, its words, the name of its loss."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import attrs
import pytest

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import loads
from mtsldsl.language.kinds import Call
from mtsldsl.methods.evidence import Event
from mtsldsl.methods.method import Method
from mtsldsl.methods.registry import METHODS, findings, method
from mtsldsl.runtime.run.event_json import KINDS, as_json, from_json
from mtsldsl.runtime.run.event_lines import describe_event
from mtsldsl.runtime.run.events import Phase
from mtsldsl.runtime.run.record_file import EventLog, read_events

PACKAGE = Path(__file__).parents[2] / "mtsldsl"

EVIDENCE = {
    "mtsl": {"places", "merges", "amalgamation"},
    "split": {"places"},
    "branch": {"branches", "dissimilarity", "proven"},
}
"""What each method calls its evidence of a phase."""

GENERAL = {
    "affinity", "allowed", "alone", "alternatives", "anneal", "at", "average", "budget", "choose", "constant", "correlation", "cosine", "difference", "end", "epoch", "epochs",
    "every", "gradient", "group", "groups", "incomparable", "layer", "layers", "least", "left", "lr", "match", "matched", "meet", "merge", "on", "parameters", "part", "patience", "penalty",
    "phases", "places", "probability", "samples", "sets", "sgd", "split", "start", "step", "task", "tasks", "teach", "temperature",
    "threshold", "transfer", "uses", "value", "write",
    "cka", "debiased", "kernel", "readout", "rsa", "similarity", "stitched", "transference",
    "budgets", "copies", "gain", "gains", "kept", "pick", "picked", "shape", "shapes",
}  # fmt: skip
"""Names among a method's that the rest of the package has for things of its own, or that every method may have: the
epochs of a phase, the phases of a training, places of a text, `runtime.network.transfer`, `balance` of averages,
alternatives of a layer and who uses them, thresholds of any kind, the temperature of `dwa`, the best constant answer,
the loss and the schedule `cosine`, splits of data, `Sharing.meet`, groups of tasks and their affinities, the probability
of an augmentation, steps and gradients, budgets, the patience of `stop`, parts,
what is allowed, how much teachers count; the similarities, which every method may offer;
and shapes of tensors, parameters and copies of a network, gains over anything, what is kept or picked, by a person too."""

ALLOWED = {
    "cli/new.py": {"allocation", "ladder"},  # the names of starters
    "language/optimization.py": {"singles"},  # which combinations `it_mtl` tries
    "codegen/bodies.py": {"branch"},  # of a residual operator
    "runtime/run/folder.py": {"ladder"},  # where the networks of budgets are kept
    "methods/merging_findings.py": {"budget_similarity", "ceilings", "grouping", "matching", "spending"},  # of mtsl
    "methods/registry.py": {
        *METHODS,
        "align",
    },  # which methods there are, and what the losses of their learners are called
    "runtime/studies/affinity.py": {"gained", "look_ahead", "looks"},  # it asks what that method found
    "sharing/grouping.py": {"exact_tasks"},  # an algorithm that any method may use has it of its own
    "sharing/trees.py": {"beam", "dissimilarity"},  # the same
}
"""Files that have such a word for another thing, and the words."""

ABOUT_WORDS = "diagnostics/elsewhere.py"
"""What people write instead of any word of the language."""


def own_names(each: Method) -> set[str]:
    """The names that a method gives to its settings, their arguments, its findings and its evidence."""
    keys = each.block.keys or ()
    calls = [rule for key in keys if isinstance(key.kind, Call) for rule in key.kind.rules]
    names = (
        {key.name for key in keys} | {rule.name for rule in calls} | {key.name for rule in calls for key in rule.keys}
    )
    names |= {key.name for rule in each.decisions for key in rule.call.keys} | {
        rule.call.name for rule in each.decisions
    }
    names |= {each.name} | {field.name for found in each.findings for field in attrs.fields(found)}
    return (
        names | {found.kind for found in each.findings} | EVIDENCE.get(each.name, set()) | {METHODS[each.name].penalty}
    )


@cache
def names_of(path: Path) -> frozenset[str]:
    """What a file of the package names: of a template what stands in its code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return frozenset(named(text))
    return frozenset(re.findall(r"\w+", " ".join(re.findall(r"\{[{%].*?[%}]\}", text))))


def named(text: str) -> Iterator[str]:
    """What a file of Python has as an attribute, a keyword, a field or a string."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def test_what_is_named_is_found() -> None:
    assert set(named("a.threshold\nf(align=1)\nb['merges']\nclass C:\n  places: int\n")) >= {
        "threshold", "align", "merges", "places",
    }  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_no_file_outside_of_its_folder_names_a_field_of_a_method(name: str) -> None:
    own = own_names(method(name)) - GENERAL
    assert own
    found: dict[str, set[str]] = {}
    for path in sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.jinja")]):
        found[path.relative_to(PACKAGE).as_posix()] = own & names_of(path)
    inside = {place for place in found if place.startswith(f"methods/{name}/")}
    assert inside
    against = {place: found[place] - ALLOWED.get(place, set()) for place in found.keys() - inside - {ABOUT_WORDS}}
    assert {place: names for place, names in against.items() if names} == {}


def test_findings_are_called_otherwise_than_the_events_of_every_run() -> None:
    assert "similarity" in findings()
    assert not findings().keys() & KINDS.keys()


@pytest.mark.parametrize("name", ["penalty", "align", "allocation", "mean"])
def test_no_task_is_called_as_a_loss_of_a_learner(name: str) -> None:
    text = (
        f"mtl 1\n\ndata scenes {{\n  input = image(3, 16, 16)\n}}\n\ntask {name} {{\n  target = values(1)\n"
        "  head   = conv2d(1, 1) | resize_as(image)\n}\n\nbackbone {\n  stem = conv2d(4, 3)\n}\n\ntrain {\n  epochs = 1\n}\n"
    )
    loads(text.replace(f"task {name}", "task depth"))
    with pytest.raises(MtlError) as raised:
        loads(text)
    assert [each.code for each in raised.value.diagnostics] == ["MTL109"]


def test_evidence_lies_beside_the_fields_of_a_phase_and_comes_back() -> None:
    phase = Phase(epoch=3, method="else", evidence={"regret": [1, None]}, decisions=["join(epoch=3)"], accepted=True)
    content = json.loads(json.dumps(as_json(phase)))
    assert content["regret"] == [1, None]
    assert "evidence" not in content
    assert from_json(content) == phase


@pytest.mark.parametrize("name", ["event", "epoch", "before", "accepted", "evidence"])
def test_evidence_cannot_take_the_place_of_a_field(name: str) -> None:
    with pytest.raises(ValueError, match=f"a phase has a field `{name}` already"):
        Phase(epoch=1, evidence={name: 1})


OLD = {
    "event": "phase",
    "epoch": 2,
    "places": 1,
    "merges": [{"layer": "stem", "tasks": ["a", "b"], "similarity": 0.95}],
}


def told(path: Path, *lines: object) -> list[str]:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return [line for event in read_events(path) if isinstance(event, Phase) for line in describe_event(event)]


def test_phases_of_runs_that_recorded_no_method_are_told_as_of_the_method_that_the_run_has(tmp_path: Path) -> None:
    start = {"event": "start", "method": "mtsl"}
    assert told(tmp_path / "events", start, {**OLD, "parameters": 1000}, {**OLD, "merges": []}) == [
        "structural phase after epoch 2: now 1,000 parameters",
        "  stem: a + b share it (similarity 0.950)",
        "structural phase after epoch 2: nothing is similar enough to merge",
    ]


def test_a_method_that_is_not_known_here_is_told_in_the_words_for_all(tmp_path: Path) -> None:
    start = {"event": "start", "method": "gone"}
    taken = {"event": "phase", "epoch": 1, "method": "gone", "decisions": ["fuse(epoch=1)"], "parameters": 7}
    assert told(tmp_path / "events", start, taken, {"event": "phase", "epoch": 2}, {"event": "of another version"}) == [
        "structural phase after epoch 1: now 7 parameters",
        "  fuse(epoch=1)",
        "structural phase after epoch 2: nothing is proposed",
    ]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    heard: list[Event] = []
    (tmp_path / "events.jsonl").touch()
    log = EventLog(tmp_path / "events.jsonl", heard.append)
    log.write(Phase(epoch=1, method="mtsl", evidence={"places": 0, "merges": []}))
    assert list(read_events(log.path)) == heard
    assert describe_event(heard[0]) == ["structural phase after epoch 1: no tasks are left that could merge"]


def reads_of_settings(text: str) -> list[str]:
    """What is done with the settings of a method but handing them over whole."""
    tree = ast.parse(text)
    handed = {id(each) for node in ast.walk(tree) if isinstance(node, ast.Call) for each in node.args}
    handed -= {id(node.args[0]) for node in ast.walk(tree) if isinstance(node, ast.Call) and asks_for_a_field(node)}
    return [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "settings" and id(node) not in handed
    ]


def asks_for_a_field(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == "getattr"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("f(structure.settings)", 0),
        ("x = structure.settings.phases", 1),
        ("getattr(structure.settings, name)", 1),
        ("settings = structure.settings", 1),
    ],
)
def test_reads_of_settings_are_found(text: str, found: int) -> None:
    assert len(reads_of_settings(text)) == found


def test_nobody_else_reads_a_field_of_the_settings() -> None:
    """The rest of the package makes them and hands them over; a method's own folder looks into them."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        place = path.relative_to(PACKAGE).as_posix()
        text = path.read_text(encoding="utf-8")
        if not place.startswith("methods/") and ".settings" in text and (reads := reads_of_settings(text)):
            found[place] = reads
    assert found.pop("ir/model.py") == ["chosen.settings"], "which makes them"
    assert found == {}

"""The meaning of a specification in one canonical form, and its hash: comments, layout, places and history left out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import attrs

from mtsldsl.datasets.registry import data_kind
from mtsldsl.ir.body import MEAN, Body, Parallel
from mtsldsl.ir.model import Data, Spec, Structure, Train
from mtsldsl.ir.task_record import Target
from mtsldsl.language.constants import Constant, Named
from mtsldsl.sharing import Cover, Groups, Row

NORMAL_FORM = 2
"""Counts up whenever the form changes, so that old hashes are not mistaken for new ones."""


def normal_form(spec: Spec) -> dict[str, Any]:
    """The meaning as dictionaries, lists, strings and numbers; equal for specs that mean the same."""
    return {
        "normal_form": NORMAL_FORM,
        "data": _data(spec.data),
        **_mixed(spec),
        "layers": [[layer.name, _layer(layer.body)] for layer in spec.layers],
        "tasks": [
            {
                "name": task.name,
                "target": _target(task.target),
                "head": _body(task.head),
                "loss": _named(task.loss),
                "metrics": [_named(metric) for metric in task.metrics],
                "weight": task.weight,
                "field": task.field,
                **({"stop": _named(task.stop)} if task.stop.name != "none" else {}),
            }
            for task in spec.tasks
        ],
        "train": {
            "epochs": spec.train.epochs,
            "optimizer": _named(spec.train.optimizer),
            "scheduler": _named_but(spec.train.scheduler, "by", "epoch") if spec.train.scheduler else None,
            "balance": _named(spec.train.balance),
            "precision": spec.train.precision,
            "seed": spec.train.seed,
            "keep": _plain(spec.train.keep),
            **_later(spec.train),
        },
        "structure": spec.structure and _structure(spec.structure),
        "sharing": [[layer, _row(spec.sharing[layer])] for layer in spec.backbone.layers],
        **({"tuning": {name: _named(value) for name, value in spec.tuning.items()}} if spec.tuning else {}),
    }


def _structure(structure: Structure) -> dict[str, Any]:
    later = structure.known.later
    values = {name: each for name, each in structure.values.items() if name not in later or each != later[name]}
    return {"method": structure.method, **_plain(values)}


def _later(train: Train) -> dict[str, Any]:
    """What only later versions have; at its default it is left out, so that the hash of a spec stays what it was."""
    found = {
        "accumulate": train.accumulate > 1 and train.accumulate,
        "clip": train.clip,
        "warmup": train.warmup,
        "ema": train.ema,
        "stop": train.stop.name != "none" and _named(train.stop),
        "teachers": train.taught_by and [train.teachers, train.teach],
        "init": train.init.name != "none" and _named_but(train.init, "since", None),
    }
    return {name: value for name, value in found.items() if value}


def _is_later(kind: str, name: str, value: Constant) -> bool:
    """Whether only later versions have a key of a data block, and it is at its default: then it is left out too."""
    later = {"train_samples": None, **data_kind(kind).later}
    return name in later and value == later[name]


def _named_but(named: Named, argument: str, default: Constant) -> list[Any]:
    """Without an argument at its default that only later versions have, as a scheduler that goes by epochs."""
    arguments = {name: value for name, value in named.arguments.items() if (name, value) != (argument, default)}
    return _named(attrs.evolve(named, arguments=arguments))


def _data(data: Data) -> dict[str, Any]:
    return {
        "kind": data.kind,
        "input": [data.input, *data.shape],
        "batch": data.batch,
        "augment": [_named(each) for each in data.augment],
        "options": _plain({name: each for name, each in data.options.items() if not _is_later(data.kind, name, each)}),
        **({"more_inputs": [[name, *shape] for name, shape in data.more_inputs]} if data.more_inputs else {}),
    }


def _mixed(spec: Spec) -> dict[str, Any]:
    """What only a spec has whose samples come from several sources."""
    if len(spec.streams) == 1:
        return {}
    return {
        "blocks": [[data.name, _data(data)] for data in spec.blocks],
        "reads": [task.data for task in spec.tasks],
        "sampling": _named(spec.train.sampling),
    }


def normal_text(spec: Spec) -> str:
    """The normal form as one line of JSON, keys sorted."""
    return json.dumps(normal_form(spec), sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(spec: Spec) -> str:
    """The SHA-256 of the normal form, in hexadecimal."""
    return hashlib.sha256(normal_text(spec).encode()).hexdigest()


def _target(target: Target) -> list[Any]:
    said = [target.kind, target.channels, target.ignore, target.valid]
    return said if target.scale == "none" else [*said, target.scale]  # hashes of specs without it stay what they were


def _named(named: Named) -> list[Any]:
    """An argument that is an empty list says nothing, as one that is not there."""
    return [named.name, _plain({name: value for name, value in named.arguments.items() if value != ()})]


def _layer(body: Body | Parallel) -> Any:
    if isinstance(body, Parallel):
        alternatives = [[name, _body(each)] for name, each in body.alternatives.items()]
        return alternatives if body.gate == MEAN else [body.gate, *alternatives]
    return _body(body)


def _row(row: Row) -> list[Any]:
    if isinstance(row, Cover):
        return [[use.alternative, sorted(use.tasks)] for use in row]
    if isinstance(row, Groups):
        return [[sorted(group.tasks), sorted(group.helped)] for group in row]
    return [sorted(component) for component in row]


def _body(body: Body) -> dict[str, Any]:
    return {
        "inputs": [[name, *shape] for name, shape in zip(body.inputs, body.input_shapes, strict=True)],
        "steps": [[step.operator, _plain(step.arguments), list(step.inputs), list(step.shape)] for step in body.steps],
        "output": body.output,
    }


def _plain(value: Any) -> Any:
    """Mappings as dictionaries, tuples as lists, names with their arguments."""
    if isinstance(value, Named):
        return _named(value)
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value

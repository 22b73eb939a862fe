"""A validator for as much of JSON Schema (draft 4) as `sarif-2.1.0.json` uses; other keywords are refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
    "number": (int, float),
}
_KNOWN = {
    "$schema", "$comment", "$ref", "definitions", "type", "properties", "required", "additionalProperties", "items",
    "minItems", "minimum", "maximum", "enum", "anyOf",
}  # fmt: skip


def violations(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], place: str = "$") -> Iterator[str]:
    """What is wrong with the value, each with its place in it."""
    while "$ref" in schema:
        schema = root["definitions"][schema["$ref"].removeprefix("#/definitions/")]
    if unknown := schema.keys() - _KNOWN:
        raise NotImplementedError(f"{unknown} at {place}")
    kind = schema.get("type")
    if kind is not None and (not isinstance(value, _TYPES[kind]) or (kind != "boolean" and isinstance(value, bool))):
        yield f"{place}: no {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place}: {value!r} is not one of {schema['enum']}"
    if "anyOf" in schema and all(any(violations(value, each, root, place)) for each in schema["anyOf"]):
        yield f"{place}: fits none of {schema['anyOf']}"
    if isinstance(value, dict):
        yield from _object(value, schema, root, place)
    elif isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            yield f"{place}: fewer than {schema['minItems']}"
        for index, item in enumerate(value):
            yield from violations(item, schema.get("items", {}), root, f"{place}[{index}]")
    elif isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{place}: {value} is out of range"


def _object(value: dict[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], place: str) -> Iterator[str]:
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{place}: lacks {name}"
    for name, inner in value.items():
        if name in properties:
            yield from violations(inner, properties[name], root, f"{place}.{name}")
        elif schema.get("additionalProperties") is False:
            yield f"{place}: must not have {name}"

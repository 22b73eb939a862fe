"""What was meant by the path of a setting that names nothing, such as `train.epoch`: a remedy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from mtsldsl.diagnostics import proposal
from mtsldsl.diagnostics.names import Suggestion
from mtsldsl.diagnostics.said_otherwise import written_here

_MOST_SHOWN = 3
"""Paths that are proposed at once."""


def known_as(path: str, shared_by: Sequence[str]) -> str:
    """The path under which a setting can be made: that of one task may be that of all that are written with it."""
    if not shared_by:
        return path
    return f"task.[{', '.join(shared_by)}].{path.rpartition('.')[2]}"


def meant(path: str, known: Mapping[str, str]) -> str:
    """The remedy for a path that names nothing: the one that was meant, the keys of its block, or the blocks.

    `known` has for each path that names something the one by which it is set.
    """
    blocks: dict[str, dict[str, str]] = {}
    for each, settable in known.items():
        block, key = _apart(each)
        blocks.setdefault(block, {})[key] = settable
    block, key = _apart(path)
    if not block:
        return _meant_alone(key, blocks) or _all(blocks)
    if block in known:
        return f"set `{block}` whole, its arguments with it"
    found = block if block in blocks else _block_meant(block, blocks)
    if found is None:
        return _all(blocks)
    keys = blocks[found]
    if key in keys:
        return _did_you_mean([keys[key]])
    near = written_here(key, found.partition(".")[0]) or proposal(key, keys)
    if near is None:
        return f"`{_apart(next(iter(keys.values())))[0]}` has: {', '.join(sorted(keys))}"
    names = [name for name in re.findall(r"`([^`]+)`", near) if name in keys]
    return _did_you_mean(keys[name] for name in names) if isinstance(near, Suggestion) else near


def _apart(path: str) -> tuple[str, str]:
    """The block and the key of a path; `sharing.a..b` has the key `a..b`."""
    start, dots, last = path.partition("..")
    block, _, key = start.rpartition(".")
    return block, key + dots + last


def _meant_alone(name: str, blocks: Mapping[str, Mapping[str, str]]) -> str | None:
    """The remedy for a name without a block: a constant, a key that blocks have, or what is said in another way."""
    near = proposal(name, blocks.get("", {}))
    if near is not None:
        return near
    keys = {key for block, keys in blocks.items() if block for key in keys}
    meant_key = name if name in keys else _right(name, keys)
    paths = sorted({keys[meant_key] for block, keys in blocks.items() if block and meant_key in keys})
    return _did_you_mean(paths[:_MOST_SHOWN]) if paths else written_here(name, "train")


def _block_meant(block: str, blocks: Iterable[str]) -> str | None:
    """The block that was meant by a name of none; kinds are compared with kinds, labels with labels."""
    kind, _, label = block.partition(".")
    known = [each.partition(".") for each in blocks if each]
    kinds = list(dict.fromkeys(each for each, _, _ in known))
    kind = kind if kind in kinds else _right(kind, kinds)
    labels = [label for each, _, label in known if each == kind]
    if label.startswith("["):  # a list that is none here: whoever stands first in it says which is meant
        label = label.strip("[]").split(",")[0]
    label = label if label in labels else _right(label, labels)
    found = f"{kind}.{label}" if label else kind
    return found if found in {"".join(each) for each in known} else None


def _right(name: str, known: Iterable[str]) -> str:
    return getattr(proposal(name, known), "right", None) or ""


def _did_you_mean(paths: Iterable[str]) -> str:
    return f"did you mean {' or '.join(f'`{path}`' for path in paths)}?"


def _all(blocks: Mapping[str, Mapping[str, str]]) -> str:
    constants = sorted(blocks.get("", {}))
    named = sorted({_apart(path)[0] for block, keys in blocks.items() if block for path in keys.values()})
    said = [f"a key of a block: {_listed(named)}"] if named else []
    said += [f"the constant {_listed(constants)}"] if constants else []
    return f"name {'; or '.join(said)}" if said else "there is nothing to set"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)

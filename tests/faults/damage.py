"""Damage to the folder of a run, drawn at random: of its files and folders, and of what they say, with digests that are
right again."""

from __future__ import annotations

import json
import os
import random
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, -5, 999_999, 10**30, 0.5, -1.5, float("nan"), float("inf"), "", "x", "a/b", "../..",
    [], [[]], [1, 2], {}, {"": 0}, {"a": {}},
)  # fmt: skip
"""What a value may have become."""


def damage(run: Path, chance: random.Random) -> str:
    """Damage something; says what."""
    kind = chance.choice((_file, _file, _folder, _facts, _facts, _facts, _line, _tensors))
    return kind(run, chance)


def _some(run: Path, chance: random.Random, pattern: str = "*") -> Path:
    return chance.choice(sorted(path for path in run.rglob(pattern) if path.is_file()))


def _file(run: Path, chance: random.Random) -> str:
    path = _some(run, chance)
    content = path.read_bytes()
    how = chance.choice(
        ("cut", "flipped", "empty", "gone", "doubled", "a folder", "NULs", "no text", "a pipe", "a link")
    )
    place = chance.randrange(len(content) or 1)
    if how == "gone":
        path.unlink()
    elif how == "a folder":
        path.unlink()
        path.mkdir()
    elif how == "a pipe":
        path.unlink()
        os.mkfifo(path)
    elif how == "a link":
        path.unlink()
        path.symlink_to(run.parents[1] / "elsewhere")
    else:
        changed = {
            "cut": content[:place],
            "flipped": content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]
            if content
            else b"\1",
            "empty": b"",
            "doubled": content * 2,
            "NULs": content[:place] + bytes(50) + content[place:],
            "no text": b"\xff\xfe" + content,
        }
        path.write_bytes(changed[how])
    return f"{path.relative_to(run)} is {how}"


def _folder(run: Path, chance: random.Random) -> str:
    path = chance.choice(sorted(path for path in run.rglob("*") if path.is_dir()))
    how = chance.choice(("gone", "a file", "renamed", "beside"))
    if how == "renamed":
        path.rename(
            path.with_name(chance.choice(("epoch-999", "epoch-000", "epoch-1", "epoch-002-step-00001", "other")))
        )
    elif how == "beside":
        (path / "mine").mkdir(exist_ok=True)
        (path / "mine" / "notes.txt").write_text("mine", encoding="utf-8")
    else:
        shutil.rmtree(path)
        if how == "a file":
            path.touch()
    return f"{path.relative_to(run)} is {how}"


def _facts(run: Path, chance: random.Random) -> str:
    """A value of a file of JSON, of a checkpoint or of the request."""
    path = _some(run, chance, "*.json")
    content = json.loads(path.read_text(encoding="utf-8"))
    said = _changed(content, chance)
    path.write_text(json.dumps(content), encoding="utf-8")
    _right_again(path)
    return f"{path.relative_to(run)}: {said}"


def _changed(content: Any, chance: random.Random, at: str = "") -> str:
    """Another value somewhere in it, one less, or one more."""
    keys = list(content) if isinstance(content, dict) else list(range(len(content)))
    if not keys or chance.random() < 0.05:
        odd = chance.choice(ODD)
        if isinstance(content, dict):
            content["more"] = odd
        else:
            content.append(odd)
        return f"{at} has {odd!r} too"
    key = chance.choice(keys)
    if isinstance(content[key], (dict, list)) and chance.random() < 0.8:
        return _changed(content[key], chance, f"{at}.{key}")
    if chance.random() < 0.2:
        del content[key]
        return f"{at}.{key} is gone"
    content[key] = chance.choice(ODD)
    return f"{at}.{key} = {content[key]!r}"


def _line(run: Path, chance: random.Random) -> str:
    """A value of a line of the record."""
    path = run / "events.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    number = chance.randrange(len(lines))
    content = json.loads(lines[number])
    said = _changed(content, chance)
    lines[number] = json.dumps(content)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"line {number + 1} of the record: {said}"


def _tensors(run: Path, chance: random.Random) -> str:
    """A tensor of a checkpoint, of another shape, type or name, or gone."""
    from safetensors.numpy import load_file, save_file

    path = _some(run, chance, "*.safetensors")
    tensors = dict(load_file(path))
    name = chance.choice(sorted(tensors))
    how = chance.choice(("gone", "renamed", "reshaped", "of integers", "not finite", "larger"))
    tensor = tensors.pop(name)
    made = {
        "renamed": {f"{name}.x": tensor},
        "reshaped": {name: tensor.reshape(1, -1)},
        "of integers": {name: tensor.astype("int8")},
        "not finite": {name: tensor * float("nan")} if tensor.dtype.kind == "f" else {name: tensor},
        "larger": {name: tensor.repeat(2)},
    }
    save_file({**tensors, **made.get(how, {})}, path)
    _right_again(path)
    return f"{name} of {path.relative_to(run)} is {how}"


def _right_again(path: Path) -> None:
    """Write the digest of a changed file of a checkpoint anew."""
    table = next((each / "digests.json" for each in path.parents if (each / "digests.json").is_file()), path)
    if path == table:
        return
    digests = json.loads(table.read_text(encoding="utf-8"))
    name = path.relative_to(table.parent).as_posix()
    if name in digests:
        digests[name] = sha256(path.read_bytes()).hexdigest()
        table.write_text(json.dumps(digests), encoding="utf-8")

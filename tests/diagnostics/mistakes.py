"""A catalogue of mistakes that people make, each with the one report that it gets, to be planted in a sound text.

A mistake puts `wrong` in the place of `right`, which stands once in the text; `^` in `wrong`, which is left out, is where
its report starts.
"""

from __future__ import annotations

from pathlib import Path

import attrs

SOUND = (Path(__file__).parent / "planted" / "sound.mtl").read_text(encoding="utf-8")


@attrs.frozen
class Mistake:
    """One mistake: the code of its report, the text that it spoils, and how."""

    code: str
    right: str
    wrong: str

    @property
    def lines(self) -> range:
        """The lines of the sound text that it touches, counted from 0."""
        first = SOUND.count("\n", 0, SOUND.index(self.right))
        return range(first, first + self.right.rstrip("\n").count("\n") + 1)

    def __str__(self) -> str:
        return f"{self.code} {self.wrong!r}"


_SHAPES = (
    "let ",
    "  input ",
    "block ",
    "    re",
    "  stem = ",
    "  low ",
    "  mid  = ",
    "  top  = ",
    "  wide = ",
    "  fine = ",
)

_TASK = ("task", "  target", "  head", "  loss", "  metrics", "  weight", "  field")

NEEDS = {
    **dict.fromkeys(("MTL301", "MTL302", "MTL308"), (*_SHAPES, "  target")),
    "MTL303": (
        *_SHAPES,
        "  target",
        "data scenes",
    ),  # whether there is an answer for each pixel is said by the kind of data
    **dict.fromkeys(("MTL305", "MTL306"), ("  target",)),
    **dict.fromkeys(("MTL402", "MTL403", "MTL404"), ("task",)),
    "MTL104": ("data scenes", "structure mtsl"),
    "MTL108": ("let width", "  low "),
    "MTL307": ("data scenes", "  input ", "  target"),
    "MTL401": ("  stem", "  low "),
    "MTL405": ("task", "block", "  stem", "  low", "  mid", "  top", "  wide"),
    "MTL406": ("  stem",),
    "MTL501": ("  epochs", "train", "  seed"),
    "MTL502": ("  phases",),
}
"""Codes that can be judged only where other lines can be read, with what those lines start with."""

USED_BY = {
    "let width": ("  stem = ", "  low ", "  mid  = ", "  wide = ", "  fine = "),
    "let decay": ("  optimizer",),
    "  input ": ("  head",),
    "  seed": ("train",),
    "  low ": ("block", "    re"),
    "  mid  = ": ("block", "    re"),
    "  wide = ": ("block", "    re"),
    "    re": ("block",),
    "  keep": (*_SHAPES, *_TASK, "data scenes", "train"),
}
"""The same for what stands on a line: a constant and the input are judged by their uses, what a block is given by the
block."""


def _needs(mistake: Mistake, other: Mistake) -> bool:
    lines = SOUND.splitlines()
    needed = NEEDS.get(mistake.code, ())
    for line in mistake.lines:
        needed += next((uses for start, uses in USED_BY.items() if lines[line].startswith(start)), ())
    return any(lines[line].startswith(needed) for line in other.lines)


def independent(one: Mistake, other: Mistake) -> bool:
    """Whether they touch other lines, and neither is in what must be read before the other can be judged."""
    return not (set(one.lines) & set(other.lines) or _needs(one, other) or _needs(other, one))


def plant(mistakes: list[Mistake]) -> tuple[str, list[tuple[str, int, int]]]:
    """The text with the mistakes in it, and the code, line and column of the report that each must get."""
    text = SOUND
    marks: list[tuple[int, str]] = []
    for mistake in sorted(mistakes, key=lambda each: SOUND.index(each.right), reverse=True):
        start = SOUND.index(mistake.right)
        wrong = mistake.wrong.replace("^", "")
        shift = len(wrong) - len(mistake.right)
        marks = [(offset + shift, code) for offset, code in marks]
        marks.append((start + mistake.wrong.index("^"), mistake.code))
        text = text[:start] + wrong + text[start + len(mistake.right) :]
    places = [(code, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)) for at, code in sorted(marks)]
    return text, places


def _catalogue() -> list[Mistake]:
    mistakes = []
    for line in _WRITTEN.strip().split("\n"):
        if line and not line.startswith("#"):
            code, right, wrong = (part.strip().replace("\\n", "\n") for part in line.split(" ~ "))
            mistakes.append(Mistake(code, right, wrong))
    return mistakes


_WRITTEN = r"""
# the first lines
MTL007 ~ mtl 1 ~ mtl ^2
MTL001 ~ mtl 1 ~ mtl ^one
MTL001 ~ mtl 1 ~ ^mlt 1
MTL001 ~ mtl 1\n ~ mtl 1\n\nepochs ^= 3\n
MTL003 ~ mtl 1\n ~ mtl 1\n\n^@\n
MTL001 ~ mtl 1\n ~ mtl 1\n\nfoo^\n
MTL001 ~ mtl 1\n ~ mtl 1\n\nlet ^= 5\n
MTL101 ~ mtl 1\n ~ mtl 1\n\n^extras {\n  depth = 3\n}\n
# constants
MTL201 ~ let width = 12 ~ let width = ^"12"
MTL201 ~ let width = 12 ~ let width = ^12.5
MTL202 ~ let width = 12 ~ let width = ^0
MTL202 ~ let width = 12 ~ let width = ^-4
MTL201 ~ let width = 12 ~ let width = ^true
MTL107 ~ let width = 12 ~ let width = ^widht
MTL001 ~ let width = 12 ~ let width = ^= 12
MTL001 ~ let width = 12 ~ let width ^12
MTL101 ~ let width = 12 ~ ^lte width = 12
MTL003 ~ let width = 12 ~ let width = 12^;
MTL202 ~ let decay = 5e-5 ~ let decay = ^-5e-5
MTL201 ~ let decay = 5e-5 ~ let decay = ^"small"
MTL009 ~ let decay = 5e-5 ~ let decay = ^5e-5x
MTL107 ~ let norm  = batch_norm | relu ~ let norm  = batch_norm | ^rleu
MTL001 ~ let norm  = batch_norm | relu ~ let norm  = batch_norm | ^| relu
MTL109 ~ let norm  = batch_norm | relu ~ let norm  = batch_norm | relu\nlet ^relu = 16
MTL107 ~ let norm  = batch_norm | relu ~ let norm  = batch_norm | relu\nlet spare = ^wdht * 2
# data
MTL110 ~ data scenes { ~ data ^scene {
MTL110 ~ data scenes { ~ ^data {
MTL101 ~ data scenes { ~ ^dta scenes {
MTL001 ~ data scenes { ~ data scenes^
MTL202 ~   input      = image(3, 48, 64) ~   input      = image(3, ^0, 64)
MTL201 ~   input      = image(3, 48, 64) ~   input      = ^image(3, 48, 64, 64)
MTL201 ~   input      = image(3, 48, 64) ~   input      = image(3, 48, ^"64")
MTL104 ~   input      = image(3, 48, 64) ~   ^inputs     = image(3, 48, 64)
MTL202 ~   images     = 96 ~   images     = ^9
MTL201 ~   images     = 96 ~   images     = ^96.0
MTL104 ~   images     = 96 ~   ^imges     = 96
MTL105 ~   images     = 96 ~   images     = 96\n  ^images     = 128
MTL202 ~   validation = 0.2 ~   validation = ^1.2
MTL003 ~   validation = 0.2 ~   validation = ^.2
MTL201 ~   validation = 0.2 ~   validation = ^0,2
MTL202 ~   batch      = 8 ~   batch      = ^0
MTL201 ~   batch      = 8 ~   batch      = ^"8"
MTL001 ~   batch      = 8 ~   batch      ^: 8
MTL001 ~   batch      = 8 ~   batch      =^
MTL104 ~   batch      = 8 ~   ^batch_size = 8
MTL201 ~   augment    = [hflip(p=0.3)] ~   augment    = ^hflip(p=0.3)
MTL202 ~   augment    = [hflip(p=0.3)] ~   augment    = [hflip(p=^3)]
MTL203 ~   augment    = [hflip(p=0.3)] ~   augment    = [hflip(^q=0.3)]
MTL206 ~   augment    = [hflip(p=0.3)] ~   augment    = [^vflip(p=0.3)]
MTL002 ~   augment    = [hflip(p=0.3)] ~   augment    = ^[hflip(p=0.3)
# tasks
MTL203 ~   target  = classes(5, ignore=255) ~   target  = classes(5, ^ignor=255)
MTL204 ~   target  = classes(5, ignore=255) ~   target  = ^classes(ignore=255)
MTL201 ~   target  = classes(5, ignore=255) ~   target  = classes(5, ignore=^"255")
MTL206 ~   target  = classes(5, ignore=255) ~   target  = ^clases(5, ignore=255)
MTL002 ~   target  = classes(5, ignore=255) ~   target  = classes^(5, ignore=255
MTL303 ~   head    = conv2d(5, 1) | resize_as(image) ~   head    = ^conv2d(4, 1) | resize_as(image)
MTL303 ~   head    = conv2d(5, 1) | resize_as(image) ~   head    = ^conv2d(5, 1)
MTL107 ~   head    = conv2d(5, 1) | resize_as(image) ~   head    = conv2d(5, 1) | resize_as(^imge)
MTL107 ~   head    = conv2d(5, 1) | resize_as(image) ~   head    = ^cnv2d(5, 1) | resize_as(image)
MTL001 ~   head    = conv2d(5, 1) | resize_as(image) ~   head    = conv2d(5 ^1) | resize_as(image)
MTL001 ~   head    = conv2d(5, 1) | resize_as(image) ~   head    = conv2d(5, 1) ^resize_as(image)
MTL308 ~   head    = conv2d(5, 1) | resize_as(image) ~   head    = conv2d(5, 1) | ^low | resize_as(image)
MTL306 ~   metrics = [miou, accuracy] ~   metrics = [miou, ^f1]
MTL206 ~   metrics = [miou, accuracy] ~   metrics = [^mio, accuracy]
MTL108 ~   metrics = [miou, accuracy] ~   metrics = [miou, ^miou]
MTL201 ~   metrics = [miou, accuracy] ~   metrics = ^miou
MTL001 ~   metrics = [miou, accuracy] ~   metrics = [miou ^accuracy]
MTL110 ~ task depth { ~ ^task {
MTL110 ~ task depth { ~ task ^depth map {
MTL101 ~ task depth { ~ ^tsk depth {
MTL001 ~ task depth { ~ task depth = ^{
MTL003 ~ task depth { ~ task dep^-th {
MTL001 ~ task depth { ~ task depth\n^{
MTL206 ~   target = values(1) ~   target = ^value(1)
MTL201 ~   target = values(1) ~   target = values(^"1")
MTL104 ~   target = values(1) ~   ^tagret = values(1)
MTL303 ~   head   = conv2d(1, 1) | resize_as(image) ~   head   = ^conv2d(2, 1) | resize_as(image)
MTL001 ~   head   = conv2d(1, 1) | resize_as(image) ~   head   = conv2d(1, 1)^) | resize_as(image)
MTL301 ~   head   = conv2d(1, 1) | resize_as(image) ~   head   = ^linear(1) | resize_as(image)
MTL305 ~   loss   = l1 ~   loss   = ^cross_entropy
MTL206 ~   loss   = l1 ~   loss   = ^l7
MTL203 ~   loss   = l1 ~   loss   = l1(^positive_only=false)
MTL206 ~   target = values(1) ~   target = values(1, valid=^all)
MTL001 ~   target = values(1) ~   target = values(1, valid=^)
MTL202 ~   weight = 2.0 ~   weight = ^-2.0
MTL009 ~   weight = 2.0 ~   weight = ^2.
MTL104 ~   weight = 2.0 ~   ^wieght = 2.0
MTL307 ~   weight = 2.0 ~   weight = 2.0\n  field  = ^label
MTL001 ~   weight = 2.0\n} ~   weight = 2.0 ^field = depth\n}
MTL002 ~   target  = binary(1) ~   target  = binary^(1
MTL108 ~ task edge { ~ task ^width {
MTL004 ~   target  = binary(1) ~   target  = ^"binary
MTL105 ~   loss    = bce\n ~   loss    = bce\n  ^head    = relu\n
MTL305 ~   loss    = bce ~   loss    = ^l1
MTL202 ~   metrics = [f1(threshold=0.4)] ~   metrics = [f1(threshold=^4)]
MTL203 ~   metrics = [f1(threshold=0.4)] ~   metrics = [f1(^treshold=0.4)]
# blocks
MTL108 ~ block down(channels, stride=2) = ~ block down(channels, ^channels, stride=2) =
MTL109 ~ block down(channels, stride=2) = ~ block down(channels, stride=2, ^relu=2) =
MTL001 ~ block down(channels, stride=2) =\n    residual ~ block down(channels, stride=2)\n    ^residual
MTL002 ~ block down(channels, stride=2) = ~ block down^(channels, stride=2 =
MTL101 ~ block down(channels, stride=2) = ~ ^blok down(channels, stride=2) =
MTL107 ~     residual(conv2d(channels, 3, stride=stride) | norm | conv2d(channels, 3) | batch_norm) | relu ~     ^residul(conv2d(channels, 3, stride=stride) | norm | conv2d(channels, 3) | batch_norm) | relu
MTL107 ~     residual(conv2d(channels, 3, stride=stride) | norm | conv2d(channels, 3) | batch_norm) | relu ~     residual(conv2d(channels, 3, stride=^strde) | norm | conv2d(channels, 3) | batch_norm) | relu
MTL203 ~     residual(conv2d(channels, 3, stride=stride) | norm | conv2d(channels, 3) | batch_norm) | relu ~     residual(conv2d(channels, 3, ^strid=stride) | norm | conv2d(channels, 3) | batch_norm) | relu
MTL111 ~ block up(channels, skip) =\n    resize_as(skip) | concat(skip) | conv2d(channels, 3) | norm ~ block ^up(channels, skip) =\n    resize_as(skip) | concat(skip) | conv2d(channels, 3) | up(4, skip)
MTL109 ~ block up(channels, skip) =\n    resize_as(skip) | concat(skip) | conv2d(channels, 3) | norm ~ block up(channels, skip) =\n    resize_as(skip) | concat(skip) | conv2d(channels, 3) | norm\n\nblock ^gelu(c) = conv2d(c, 3)
MTL107 ~     resize_as(skip) | concat(skip) | conv2d(channels, 3) | norm ~     resize_as(skip) | ^concatt(skip) | conv2d(channels, 3) | norm
MTL204 ~     resize_as(skip) | concat(skip) | conv2d(channels, 3) | norm ~     resize_as(skip) | concat(skip) | ^conv2d(channels) | norm
# layers
MTL101 ~ backbone { ~ ^backbon {
MTL101 ~ backbone { ~ ^layers {
MTL110 ~ backbone { ~ backbone ^main {
MTL001 ~ backbone { ~ backbone^
MTL001 ~ backbone { ~ backbone^:
MTL201 ~   stem = conv2d(width, 3, stride=2) | norm ~   stem = conv2d(width, 3, stride=^"2") | norm
MTL205 ~   stem = conv2d(width, 3, stride=2) | norm ~   stem = conv2d(width, 3, stride=2, ^stride=2) | norm
MTL107 ~   stem = conv2d(width, 3, stride=2) | norm ~   stem = ^conv3d(width, 3, stride=2) | norm
MTL001 ~   stem = conv2d(width, 3, stride=2) | norm ~   stem = conv2d(width, 3, stride=2) | ^| norm
MTL107 ~   low  = down(width * 2) ~   low  = ^dwn(width * 2)
MTL204 ~   low  = down(width * 2) ~   low  = ^down()
MTL203 ~   low  = down(width * 2) ~   low  = down(width * 2, ^strid=2)
MTL107 ~   low  = down(width * 2) ~   low  = down(^widht * 2)
MTL201 ~   low  = down(width * 2) ~   low  = down(^width + 2)
MTL003 ~   low  = down(width * 2) ~   low  = down(width ^/ 2)
MTL001 ~   mid  = down(width * 3) * 2 ~   mid  = down(width * ^* 3) * 2
MTL202 ~   mid  = down(width * 3) * 2 ~   mid  = down(width * 3) * ^0
MTL107 ~   mid  = down(width * 3) * 2 ~   mid  = down(^wdth * 3) * 2
MTL301 ~   top  = group_norm(4) | conv2d(36, 1) | gelu ~   top  = ^group_norm(5) | conv2d(36, 1) | gelu
MTL301 ~   top  = group_norm(4) | conv2d(36, 1) | gelu ~   top  = group_norm(4) | ^linear(36) | gelu
MTL107 ~   top  = group_norm(4) | conv2d(36, 1) | gelu ~   top  = group_norm(4) | conv2d(36, 1) | ^gleu
MTL304 ~   top  = group_norm(4) | conv2d(36, 1) | gelu ~   top  = ^wide | group_norm(4) | conv2d(36, 1) | gelu
MTL203 ~   wide = up(width, skip=low) ~   wide = up(width, ^skp=low)
MTL107 ~   wide = up(width, skip=low) ~   wide = up(width, skip=^lowe)
MTL304 ~   wide = up(width, skip=low) ~   wide = up(width, skip=^fine)
MTL302 ~   fine = resize_as(stem) | concat(stem) | conv2d(width, 3) | relu ~   fine = ^concat(stem) | conv2d(width, 3) | relu
MTL204 ~   fine = resize_as(stem) | concat(stem) | conv2d(width, 3) | relu ~   fine = resize_as(stem) | concat(stem) | ^conv2d(width) | relu
MTL109 ~   fine = resize_as(stem) | concat(stem) | conv2d(width, 3) | relu\n} ~   fine = resize_as(stem) | concat(stem) | conv2d(width, 3) | relu\n  ^class = relu\n}
MTL108 ~   fine = resize_as(stem) | concat(stem) | conv2d(width, 3) | relu\n} ~   fine = resize_as(stem) | concat(stem) | conv2d(width, 3) | relu\n  ^low = relu\n}
MTL001 ~   fine = resize_as(stem) | concat(stem) | conv2d(width, 3) | relu\n} ~   fine = resize_as(stem) | concat(stem) | conv2d(width, 3) | relu\n^end
MTL009 ~   fine = resize_as(stem) | concat(stem) | conv2d(width, 3) | relu\n} ~   fine = resize_as(stem) | concat(stem) | conv2d(width, 3) | relu\n  ^2out = relu\n}
MTL003 ~   fine = resize_as(stem) | concat(stem) | conv2d(width, 3) | relu\n} ~   fine = resize_as(stem) | concat(stem) | conv2d(width, 3) | relu\n  ^öut = relu\n}
# training
MTL101 ~ train { ~ ^trian {
MTL110 ~ train { ~ train ^fast {
MTL001 ~ train { ~ train^
MTL001 ~ train { ~ [train]^
MTL202 ~   epochs    = 12 ~   epochs    = ^-12
MTL104 ~   epochs    = 12 ~   ^epoch     = 12
MTL001 ~   epochs    = 12 ~   epochs    ^12
MTL206 ~   optimizer = adamw(lr=2e-3, weight_decay=decay) ~   optimizer = ^adamm(lr=2e-3, weight_decay=decay)
MTL202 ~   optimizer = adamw(lr=2e-3, weight_decay=decay) ~   optimizer = adamw(lr=^-2e-3, weight_decay=decay)
MTL203 ~   optimizer = adamw(lr=2e-3, weight_decay=decay) ~   optimizer = adamw(lr=2e-3, ^weigth_decay=decay)
MTL001 ~   optimizer = adamw(lr=2e-3, weight_decay=decay) ~   optimizer = adamw^{lr=2e-3, weight_decay=decay}
MTL205 ~   scheduler = step(4, gamma=0.5) ~   scheduler = step(4, gamma=0.5, ^8)
MTL204 ~   scheduler = step(4, gamma=0.5) ~   scheduler = ^step(gamma=0.5)
MTL202 ~   balance   = dwa(temperature=1.5) ~   balance   = dwa(temperature=^0)
MTL206 ~   balance   = dwa(temperature=1.5) ~   balance   = ^pcgard
MTL206 ~   precision = bf16 ~   precision = ^fp64
MTL402 ~   keep      = depth.rmse ~   keep      = ^dept.rmse
MTL206 ~   keep      = depth.rmse ~   keep      = depth.^rsme
MTL206 ~   keep      = depth.rmse ~   keep      = depth.^miou
MTL206 ~   keep      = depth.rmse ~   keep      = ^depth
MTL206 ~   keep      = depth.rmse ~   keep      = ^rmse
MTL206 ~   keep      = depth.rmse ~   keep      = ^lsat
MTL202 ~   keep      = depth.rmse ~   keep      = average(^2)
MTL204 ~   keep      = depth.rmse ~   keep      = ^average
MTL205 ~   keep      = depth.rmse ~   keep      = depth.rmse(^3)
MTL003 ~   keep      = depth.rmse ~   keep      = depth^.
MTL003 ~   keep      = depth.rmse ~   keep      = ^.rmse
MTL001 ~   keep      = depth.rmse ~   ^train.keep = depth.rmse
MTL201 ~   seed      = 3 ~   seed      = ^true
MTL001 ~   seed      = 3\n ~   seed      = 3,^\n
MTL001 ~   seed      = 3 ~   ^let seed  = 3
MTL001 ~   seed      = 3 ~   seed ^{ value = 3 }
MTL102 ~   seed      = 3\n} ~   seed      = 3\n}\n\n^train {\n  epochs = 12\n}
MTL002 ~ train {\n  epochs    = 12\n  optimizer = adamw(lr=2e-3, weight_decay=decay)\n  scheduler = step(4, gamma=0.5)\n  balance   = dwa(temperature=1.5)\n  precision = bf16\n  keep      = depth.rmse\n  seed      = 3\n} ~ train ^{\n  epochs    = 12\n  optimizer = adamw(lr=2e-3, weight_decay=decay)\n  scheduler = step(4, gamma=0.5)\n  balance   = dwa(temperature=1.5)\n  precision = bf16\n  keep      = depth.rmse\n  seed      = 3
# structure
MTL110 ~ structure mtsl { ~ structure ^mtls {
MTL110 ~ structure mtsl { ~ ^structure {
MTL503 ~   phases     = [3, 6, 9] ~   phases     = [3, 9, ^6]
MTL501 ~   phases     = [3, 6, 9] ~   phases     = [3, 6, ^90]
MTL001 ~   phases     = [3, 6, 9] ~   phases     = [3 ^6, 9]
MTL202 ~   similarity = cka(samples=64, kernel=linear) ~   similarity = cka(samples=^1, kernel=linear)
MTL206 ~   similarity = cka(samples=64, kernel=linear) ~   similarity = cka(samples=64, kernel=^liner)
MTL202 ~   threshold  = 0.85 ~   threshold  = ^8.5
MTL104 ~   threshold  = 0.85 ~   ^treshold   = 0.85
MTL201 ~   align      = 0.1 ~   align      = ^[0.1]
MTL502 ~   transfer   = amalgamate(epochs=[1, 1, 2]) ~   transfer   = ^amalgamate(epochs=[1, 1])
MTL204 ~   transfer   = amalgamate(epochs=[1, 1, 2]) ~   transfer   = ^amalgamate
MTL206 ~   transfer   = amalgamate(epochs=[1, 1, 2]) ~   transfer   = ^amalgam(epochs=[1, 1, 2])
# sharing and history
MTL101 ~ sharing { ~ ^sharng {
MTL401 ~   stem..low = all ~   stem..^lwo = all
MTL401 ~   stem..low = all ~   ^low..stem = all
MTL003 ~   stem..low = all ~   stem..^.low = all
MTL402 ~   mid       = segment + depth, edge ~   mid       = segment + ^dpth, edge
MTL403 ~   mid       = segment + depth, edge ~   mid       = ^segment + depth
MTL404 ~   mid       = segment + depth, edge ~   mid       = segment + depth, edge, ^edge
MTL001 ~   mid       = segment + depth, edge ~   mid       = segment ^depth, edge
MTL201 ~   top       = segment + depth, edge ~   top       = ^segment | depth | edge
MTL408 ~   top       = segment + depth, edge ~   top       = ^conv3: segment + depth, edge
MTL403 ~   top       = segment + depth, edge ~   top       = ^segment + (depth), edge
MTL403 ~   top       = segment + depth, edge ~   top       = segment + depth + edge, ^(depth)
MTL404 ~   top       = segment + depth, edge ~   top       = segment + depth + (^depth), edge
MTL404 ~   top       = segment + depth, edge ~   top       = segment + depth, (depth) + (^depth) + edge
MTL402 ~   top       = segment + depth, edge ~   top       = segment + depth, (^width) + edge
MTL201 ~   top       = segment + depth, edge ~   top       = segment + depth, ^(segment + depth) + edge
MTL405 ~   wide      = segment, depth, edge ~   wide      = ^segment, depth + edge
MTL107 ~   stem = conv2d(width, 3, stride=2) | norm ~   ^setm = conv2d(width, 3, stride=2) | norm
MTL107 ~ let width = 12 ~ let ^wdith = 12
MTL107 ~   input      = image(3, 48, 64) ~   input      = ^photo(3, 48, 64)
MTL402 ~   wide      = segment, depth, edge ~   wide      = segment, depth, edge, ^normal
MTL406 ~   fine      = each ~   fine      = each\n  ^stem      = all
MTL201 ~   fine      = each ~   fine      = ^each()
MTL101 ~ history { ~ ^histry {
MTL504 ~   merge(epoch=3, layer=stem, tasks=segment + depth + edge, similarity=0.97) ~   ^merge(epoch=3, layer=stm, tasks=segment + depth + edge, similarity=0.97)
MTL204 ~   merge(epoch=3, layer=stem, tasks=segment + depth + edge, similarity=0.97) ~   ^merge(epoch=3, layer=stem, tasks=segment + depth + edge)
MTL002 ~   merge(epoch=3, layer=stem, tasks=segment + depth + edge, similarity=0.97) ~   merge^(epoch=3, layer=stem, tasks=segment + depth + edge, similarity=0.97
MTL504 ~   merge(epoch=6, layer=mid, tasks=segment + depth, similarity=0.91) ~   ^megre(epoch=6, layer=mid, tasks=segment + depth, similarity=0.91)
MTL201 ~   merge(epoch=6, layer=mid, tasks=segment + depth, similarity=0.91) ~   merge(epoch=6, layer=mid, tasks=segment + depth, similarity=^"0.91")
MTL203 ~   merge(epoch=6, layer=mid, tasks=segment + depth, similarity=0.91) ~   merge(^epch=6, layer=mid, tasks=segment + depth, similarity=0.91)
"""

CATALOGUE = _catalogue()

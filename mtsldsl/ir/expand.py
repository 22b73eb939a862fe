"""Pipelines as flat lists of stages: blocks put in place, repetitions written out, arguments read, no shapes yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from mtsldsl.diagnostics import Diagnostic, Span, misspelt
from mtsldsl.diagnostics.names import Suggestion
from mtsldsl.ir.definitions import Block, Definitions, check_factors, unknown_stage
from mtsldsl.ir.module_operator import read_own
from mtsldsl.ir.problems import BROKEN, Broken, Problems, Through, is_inside, line_of
from mtsldsl.ir.scope import DEEPEST, Bound, Scope
from mtsldsl.ir.values import convert, match_arguments
from mtsldsl.language import kinds
from mtsldsl.language.constants import Constant
from mtsldsl.language.kinds import REQUIRED, Chosen
from mtsldsl.language.naming import RESIDUAL, STAGES
from mtsldsl.language.operator import Operator
from mtsldsl.language.operators import OPERATORS
from mtsldsl.language.operators.own import OWN, TAP
from mtsldsl.records import Record
from mtsldsl.syntax import tree

USUAL_INPUT = "image"
"""What the input is called by default."""

LARGEST_EXPANSION = 10_000
"""Operators in one text once its blocks and repetitions are written out."""

MOST_VALUES = 50_000
"""Values that are looked at to write them out, the arguments of blocks and operators included."""

MOST_REPEATED = 200
"""Times that the same report may come again, from a macro used again and again, before no more is expanded."""


@attrs.frozen(eq=False, repr=False)
class Use(Record):
    """Where the outermost block of an expansion is used, and the innermost block that the stage stands in."""

    span: Span
    block: str


@attrs.frozen(eq=False, repr=False)
class Start(Record):
    """A pipeline that starts from a named layer, or from the input."""

    name: str
    span: Span
    use: Use | None
    size: int = 0


@attrs.frozen(eq=False, repr=False)
class Apply(Record):
    """An operator with its arguments. `values` are the further pipelines that it takes, each with the piped value as
    its start unless it names another. `size` counts the operators in it."""

    operator: str
    arguments: Mapping[str, Constant | Chosen]
    values: tuple[tuple[Stage, ...], ...]
    span: Span
    use: Use | None
    size: int


Stage = Start | Apply


@attrs.define(eq=False, repr=False)
class Expander:
    """Expands the pipelines of one text. `layers` are all that it defines, `ready` those that may be read by now."""

    definitions: Definitions
    layers: Mapping[str, Span]
    inputs: tuple[str, ...]
    """The names of the network's inputs, none where they cannot be told."""
    problems: Problems
    ready: set[str] = attrs.field(factory=set)
    current: str | None = None
    """The layer that is being defined."""
    size: int = 0
    operators: int = 0
    """Operators made by now, those of broken pipelines included."""
    steps: int = 0
    """Values looked at, the arguments of operators included."""

    def pipeline(self, value: tree.Value, copies: int = 1, scope: Scope | None = None) -> tuple[Stage, ...] | Broken:
        """The stages of a layer's or head's pipeline, of which the network has so many; by default names stand for what
        the text defines."""
        stages = self._expand(Bound(value, scope or self.definitions.scope, value.span), None, 0)
        if isinstance(stages, Broken):
            return BROKEN
        self.size += sum(stage.size for stage in stages) * copies
        return self._too_large(value.span) if self.size > LARGEST_EXPANSION else stages

    def definition(self, block: Block) -> None:
        """Report what is wrong with a block wherever it is used: parameters have their defaults, or are not known."""
        outside = self.definitions.scope
        bindings = {parameter.name.text: self._default(parameter) for parameter in block.parameters}
        self._expand(Bound(block.value, Scope(bindings, outside, call=True), block.value.span), None, 0)

    def _default(self, parameter: tree.Parameter) -> Bound | Broken:
        default = parameter.default
        return BROKEN if default is None else Bound(default, self.definitions.scope, default.span)

    def _too_large(self, span: Span) -> Broken:
        if not self.problems.exhausted:
            self.problems.exhausted = True
            many = f"more than {LARGEST_EXPANSION:,} operators, blocks and repetitions written out"
            if self.steps > MOST_VALUES:
                many = f"more than {MOST_VALUES:,} values to look at, blocks written out with their arguments"
            self.problems.add("MTL111", f"the network has {many}", "repeat less", span)
        return BROKEN

    def _expand(self, bound: Bound, use: Use | None, depth: int) -> tuple[Stage, ...] | Broken:
        self.steps += 1
        if self.problems.repeated > MOST_REPEATED:
            return BROKEN
        if self.problems.exhausted or self.operators > LARGEST_EXPANSION or self.steps > MOST_VALUES:
            return self._too_large(use.span if use else bound.span)
        if depth > DEEPEST:
            return self.problems.add(
                "MTL111",
                f"blocks nest deeper than {DEEPEST}",
                "use fewer blocks inside blocks",
                use.span if use else bound.span,
            )
        match bound.value:
            case tree.Unreadable():
                return BROKEN
            case tree.Group(value):
                return self._expand(Bound(value, bound.scope, bound.span, bound.through), use, depth + 1)
            case tree.Pipeline(stages):
                return self._several(stages, bound.scope, use, depth)
            case tree.Product(left, right):
                return self._repeat(bound, left, right, use, depth)
            case tree.Name() as name:
                return self._name(name, bound, use, depth)
            case tree.Call() as call:
                return self._call(call.function, call.arguments, call.span, bound.scope, use, depth)
        cause, remedy = f"a pipeline cannot hold `{bound.shown()}`", "give operators, blocks and layers, joined by `|`"
        if bound.through:
            return self.problems.unfit(bound.through, bound.span, [Diagnostic("MTL201", cause, remedy, bound.span)])
        return self.problems.add("MTL201", cause, remedy, bound.span)

    def _several(
        self, values: Sequence[tree.Value], scope: Scope, use: Use | None, depth: int
    ) -> tuple[Stage, ...] | Broken:
        """The stages of all values in a row; every one is looked at, also after a broken one."""
        stages: list[Stage] = []
        broken = False
        for value in values:
            expanded = self._expand(Bound(value, scope, value.span), use, depth + 1)
            if isinstance(expanded, Broken):
                broken = True
            else:
                stages += expanded
        return BROKEN if broken else tuple(stages)

    def _repeat(
        self, bound: Bound, left: tree.Value, right: tree.Value, use: Use | None, depth: int
    ) -> tuple[Stage, ...] | Broken:
        stages = self._expand(Bound(left, bound.scope, left.span), use, depth + 1)
        times: int | Broken = convert(
            kinds.Integer(1), Bound(right, bound.scope, right.span), "the repetition", self.problems
        )
        if isinstance(stages, Broken) or isinstance(times, Broken):
            return BROKEN
        if times * max(len(stages), sum(stage.size for stage in stages)) > LARGEST_EXPANSION:
            return self._too_large(bound.span)
        self.operators += len(stages) * (times - 1)
        return stages * times

    def _name(self, name: tree.Name, bound: Bound, use: Use | None, depth: int) -> tuple[Stage, ...] | Broken:
        scope = bound.scope
        found = scope.find(name.text)
        if found is not None:
            target, parameter = found
            if isinstance(target, Broken) or (not parameter and name.text in self.inputs):
                return BROKEN  # a constant that has the name of the input is reported
            if parameter:
                return self._expand(target, use, depth + 1)
            through = (*bound.through, Through(name.text, target.span))
            stages = self._expand(Bound(target.value, target.scope, name.span, through), use, depth + 1)
            if not isinstance(stages, Broken):
                self.problems.fits(through)
            return stages
        if name.text in STAGES or name.text in self.definitions.blocks:
            return self._call(name, (), name.span, scope, use, depth)
        layer, dot, output = name.text.partition(".")
        if dot and (layer in self.layers or layer in self.ready):
            start = self._name(tree.Name(layer, name.span), bound, use, depth)
            tap = self._apply(TAP, {"output": output}, [], name.span, use)
            return BROKEN if isinstance(start, Broken) or isinstance(tap, Broken) else (*start, *tap)
        if name.text in self.inputs or name.text in self.ready:
            return (Start(name.text, name.span, use),)
        if name.text in self.layers:
            place = use.span if use and not is_inside(name.span, use.span) else name.span
            if name.text == self.current:
                cause, remedy = f"`{name.text}` reads itself", "read the layers above it"
            else:
                cause = f"`{name.text}` is read before it is defined"
                above = line_of(self.layers[name.text], place)
                remedy = f"move {above}, which defines it, further up"
            return self.problems.add("MTL304", cause, remedy, place)
        if name.text == USUAL_INPUT and len(self.inputs) == 1:
            (known_as,) = self.inputs
            remedy = Suggestion(f"the input is called `{known_as}`", name.text, known_as)
            self.problems.add("MTL107", f"`{name.text}` is no operator, block or layer", remedy, name.span)
            return (Start(known_as, name.span, use),)
        known = self._known(scope)
        if not self.inputs and not misspelt(name.text, known):
            return BROKEN  # the data block is broken, and the name may be that of its input
        right = unknown_stage(name, known, self.problems)
        if right is None:
            return BROKEN
        return self._name(tree.Name(right, name.span), bound, use, depth)

    def _known(self, scope: Scope) -> set[str]:
        return {*STAGES, *self.definitions.blocks, *scope.known(), *self.ready, *self.inputs}

    def _call(
        self,
        name: tree.Name,
        arguments: Sequence[tree.Argument],
        span: Span,
        scope: Scope,
        use: Use | None,
        depth: int,
    ) -> tuple[Stage, ...] | Broken:
        if name.text == RESIDUAL:
            return self._residual(name, arguments, span, scope, use, depth)
        if name.text == OWN:
            return self._own(arguments, span, scope, use, depth)
        if name.text in OPERATORS:
            return self._operator(OPERATORS[name.text], arguments, span, scope, use, depth)
        if name.text in self.definitions.blocks:
            block = self.definitions.blocks[name.text]
            if block is not None:
                return self._block(block, arguments, span, scope, use, depth)
            for argument in arguments:
                check_factors(
                    Bound(argument.value, scope, argument.span), {*self._known(scope), *self.layers}, self.problems
                )
            return BROKEN
        known = self._known(scope)
        if name.text in known:
            return self.problems.add("MTL205", f"`{name.text}` takes no arguments", f"write `{name.text}` alone", span)
        right = unknown_stage(name, known, self.problems)
        if right is None:
            return BROKEN
        return self._call(tree.Name(right, name.span), arguments, span, scope, use, depth)

    def _block(
        self,
        block: Block,
        arguments: Sequence[tree.Argument],
        span: Span,
        scope: Scope,
        use: Use | None,
        depth: int,
    ) -> tuple[Stage, ...] | Broken:
        names = [parameter.name.text for parameter in block.parameters]
        required = [parameter.name.text for parameter in block.parameters if parameter.default is None]
        given, sound = match_arguments(arguments, names, required, f"block `{block.name}`", span, self.problems)
        bindings: dict[str, Bound | Broken] = {
            name: Bound(argument.value, scope, argument.value.span) for name, argument in given.items()
        }
        for parameter in block.parameters:
            if parameter.name.text not in given:
                bindings[parameter.name.text] = self._default(parameter)
        inside = Scope(bindings, self.definitions.scope, call=True)
        place = Use(use.span if use else span, block.name)
        stages = self._expand(Bound(block.value, inside, block.value.span), place, depth + 1)
        return stages if sound else BROKEN

    def _operator(
        self,
        operator: Operator,
        arguments: Sequence[tree.Argument],
        span: Span,
        scope: Scope,
        use: Use | None,
        depth: int,
    ) -> tuple[Stage, ...] | Broken:
        self.steps += len(arguments)
        subject = f"`{operator.name}`"
        wanted = len(arguments) if operator.arity is None else operator.arity - 1
        joined = [argument for argument in arguments[:wanted] if argument.name is None]
        rest = arguments[len(joined) :]
        if len(joined) < max(wanted, operator.arity is None):
            remedy = f"name it: `{operator.name}(layer)`"
            return self.problems.add("MTL204", f"{subject} needs a further value", remedy, span)
        values = [
            self._expand(Bound(argument.value, scope, argument.value.span), use, depth + 1) for argument in joined
        ]
        names = [rule.name for rule in operator.rules]
        required = [rule.name for rule in operator.rules if rule.default is REQUIRED]
        given, sound = match_arguments(rest, names, required, subject, span, self.problems)
        settings: dict[str, Constant | Chosen | Broken] = {}
        for rule in operator.rules:
            if rule.name in given:
                value = given[rule.name].value
                bound = Bound(value, scope, value.span)
                settings[rule.name] = convert(rule.kind, bound, f"`{rule.name}` of {subject}", self.problems)
            else:
                settings[rule.name] = BROKEN if rule.default is REQUIRED else rule.default
        return self._apply(operator.name, settings, values, span, use) if sound else BROKEN

    def _own(
        self, arguments: Sequence[tree.Argument], span: Span, scope: Scope, use: Use | None, depth: int
    ) -> tuple[Stage, ...] | Broken:
        self.steps += 4 * len(arguments)
        settings, further = read_own(arguments, span, scope, self.problems)
        values = [self._expand(Bound(each.value, scope, each.value.span), use, depth + 1) for each in further]
        if isinstance(settings, Broken):
            return BROKEN
        self.steps += sum(map(_count, settings.values()))
        return self._apply(OWN, settings, values, span, use)

    def _residual(
        self,
        name: tree.Name,
        arguments: Sequence[tree.Argument],
        span: Span,
        scope: Scope,
        use: Use | None,
        depth: int,
    ) -> tuple[Stage, ...] | Broken:
        given, sound = match_arguments(arguments, ("main", "shortcut"), ("main",), f"`{RESIDUAL}`", span, self.problems)
        values = [
            self._expand(Bound(given[key].value, scope, given[key].value.span), use, depth + 1)
            for key in ("main", "shortcut")
            if key in given
        ]
        return self._apply(RESIDUAL, {}, values, span, use) if sound else BROKEN

    def _apply(
        self,
        operator: str,
        settings: Mapping[str, Constant | Chosen | Broken],
        values: Sequence[tuple[Stage, ...] | Broken],
        span: Span,
        use: Use | None,
    ) -> tuple[Stage, ...] | Broken:
        sound = [value for value in values if not isinstance(value, Broken)]
        known = {name: value for name, value in settings.items() if not isinstance(value, Broken)}
        if len(sound) < len(values) or len(known) < len(settings):
            return BROKEN
        self.operators += 1
        size = 1 + sum(stage.size for value in sound for stage in value)
        return (Apply(operator, known, tuple(sound), span, use, size),)


def _count(value: Constant | Chosen) -> int:
    """Values inside a value."""
    return sum(map(_count, value)) if isinstance(value, tuple) else 1

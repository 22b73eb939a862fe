"""Settings of the blocks `sharing` and `tuning`: a layer without a line gets one, one in the middle of a range takes it
apart."""

from __future__ import annotations

from collections.abc import Sequence

from mtsldsl.editing.new_lines import aligned
from mtsldsl.ir.library import Library, sections_of
from mtsldsl.syntax import tree
from mtsldsl.syntax.edit import TextEdit, append_section, insert_items, remove_item, replace_item


def layers_of(file: tree.File, library: Library | None) -> tuple[str, ...]:
    """The names of the backbone's layers in their order, of the imported backbone where there is one."""
    imported = library.backbone if library else None
    section = imported or next(sections_of(file, "backbone"), None)
    return (
        tuple(dict.fromkeys(item.key.text for item in section.items if isinstance(item, tree.Entry))) if section else ()
    )


def layers_between(key: str, layers: Sequence[str]) -> tuple[str, ...]:
    """The layers of `first..last`; none where that is no range of them."""
    first, dots, last = key.partition("..")
    if not dots or first not in layers or last not in layers:
        return ()
    return tuple(layers[layers.index(first) : layers.index(last) + 1])


def layer_edits(
    file: tree.File, block: str, chosen: Sequence[str], value: str, layers: Sequence[str]
) -> list[TextEdit]:
    """Edits that give `chosen`, which follow each other in `layers`, one line with this value in the block.

    Lines that say something of them keep what they say of other layers. The new line takes the place of the first such
    line, and is the block's last where there is none; a text without the block gets one.
    """
    section = next(sections_of(file, block), None)
    name = _name(chosen)
    if section is None:
        return [append_section(file, f"{block} {{\n  {name} = {value}\n}}")]
    edits: list[TextEdit] = []
    for item in section.items:
        if not isinstance(item, tree.Entry):
            continue
        said = layers_between(f"{item.key.text}..{(item.last or item.key).text}", layers)
        if not set(said) & set(chosen):
            continue
        before = said[: said.index(chosen[0])] if chosen[0] in said else ()
        after = said[said.index(chosen[-1]) + 1 :] if chosen[-1] in said else ()
        kept = [_name(each) for each in (before, after) if each]
        lines = [aligned(each, item.value.span.text, item) for each in kept]
        if not edits:
            lines.insert(1 if before else 0, aligned(name, value, item))
        edits.append(replace_item(file, item, lines) if lines else remove_item(file, item))
    if edits:
        return edits
    return [insert_items(file, section, [aligned(name, value, section.items[-1] if section.items else None)])]


def _name(layers: Sequence[str]) -> str:
    return layers[0] if len(layers) == 1 else f"{layers[0]}..{layers[-1]}"

"""The diagnostic codes, each with what it means in a phrase; `pages` says all the rest of them.

A code keeps its meaning for ever. A new one is written down here, with a page of its name.
"""

from __future__ import annotations

from collections.abc import Mapping

FAMILIES: Mapping[str, Mapping[str, str]] = {
    "the text": {
        "MTL001": "the text cannot be read at this place",
        "MTL002": "a block or bracket is not closed",
        "MTL003": "a character that the language does not have",
        "MTL004": "a string is not closed",
        "MTL005": "the file is not UTF-8 text",
        "MTL006": "the first line is not `mtl 1`",
        "MTL007": "a version of the language that is not known",
        "MTL008": "a value too large or nested too deeply",
        "MTL009": "a number or a string that is not written as the language writes it",
        "MTL010": "a merge conflict that is still marked",
    },
    "blocks and names": {
        "MTL101": "an unknown block",
        "MTL102": "a block given twice",
        "MTL103": "a required block is missing",
        "MTL104": "an unknown key",
        "MTL105": "a key given twice",
        "MTL106": "a required key is missing",
        "MTL107": "an unknown name",
        "MTL108": "a name used twice",
        "MTL109": "a name that is reserved",
        "MTL110": "a block with the wrong labels",
        "MTL111": "a block that uses itself, or a network that is too large",
        "MTL112": "an override that names nothing in the spec",
        "MTL113": "an import of a file that cannot be read",
        "MTL114": "an import that leads out of the project",
        "MTL115": "files that import each other",
    },
    "values and arguments": {
        "MTL201": "a value of the wrong type",
        "MTL202": "a value out of range",
        "MTL203": "an unknown argument",
        "MTL204": "a required argument is missing",
        "MTL205": "an argument given twice, or too many arguments",
        "MTL206": "a value that is not one of the choices",
    },
    "layers, shapes and targets": {
        "MTL301": "an operator that does not fit the shape it is given",
        "MTL302": "shapes that cannot be combined",
        "MTL303": "a head whose output does not fit its target",
        "MTL304": "a layer read before it is defined",
        "MTL305": "a loss that does not fit the target",
        "MTL306": "a metric that does not fit the target",
        "MTL307": "data that has no field for the target",
        "MTL308": "a layer named in the middle of a pipeline",
    },
    "sharing": {
        "MTL401": "sharing names an unknown layer",
        "MTL402": "an unknown task",
        "MTL403": "sharing leaves a task out",
        "MTL404": "sharing lists a task twice",
        "MTL405": "sharing breaks the refinement rule",
        "MTL406": "sharing lists a layer twice",
        "MTL407": "sharing cannot be merged so",
        "MTL408": "a form of sharing that this method does not use",
    },
    "structure and history": {
        "MTL501": "structural phases after the last epoch",
        "MTL502": "amalgamation epochs that do not cover the phases",
        "MTL503": "structural phases out of order",
        "MTL504": "a history line that does not fit the spec",
    },
    "data": {
        "MTL601": "a data set that is not there",
        "MTL602": "a data set whose files are not as expected",
        "MTL603": "a data set that lacks a task's target",
    },
    "files": {
        "MTL701": "a file that mtsldsl did not write",
        "MTL702": "generated code that is not up to date",
        "MTL703": "a file that cannot be read or written",
        "MTL704": "a rewrite that would lose text",
        "MTL705": "a package of another spec",
    },
    "runs": {
        "MTL801": "a run that cannot be resumed",
        "MTL802": "a device that is not there",
        "MTL803": "training that diverged",
        "MTL804": "too little data for the computation",
        "MTL805": "weights that do not fit the spec",
        "MTL806": "a module of one's own that cannot be made",
        "MTL807": "a module of one's own that is not as the spec declares it",
        "MTL808": "a library that cannot be imported",
    },
    "warnings": {
        "MTL901": "a constant that nothing uses",
        "MTL902": "a block that nothing uses",
        "MTL903": "a parameter that its block does not use",
        "MTL904": "a parameter that hides another name",
        "MTL905": "an `ignore` that suppresses nothing",
        "MTL911": "a layer that no head reads",
        "MTL912": "a head larger than the layers it reads",
        "MTL913": "a head that reads no layer",
        "MTL914": "a head that ends in an activation its loss does not expect",
        "MTL915": "a bias directly before batch norm",
        "MTL916": "an operator that changes nothing",
        "MTL917": "two linear layers with nothing between them",
        "MTL918": "batch norm with a batch of one",
        "MTL921": "a sharing block that shares nothing",
        "MTL922": "a history that the sharing contradicts",
        "MTL931": "a phase that can never find a frontier",
        "MTL932": "a phase at the last epoch",
        "MTL933": "a threshold that cannot bind",
        "MTL934": "more samples than there are",
        "MTL941": "an unusually high learning rate",
        "MTL942": "a schedule that does not fit the epochs",
        "MTL943": "nothing to balance",
        "MTL944": "a batch larger than the training set",
        "MTL951": "metrics that say the same",
        "MTL952": "a weight of zero",
        "MTL953": "an augmentation without effect",
    },
}
"""What the codes that begin alike are about: MTL0xx, MTL1xx and so on; then their codes in order."""

CODES: Mapping[str, str] = {code: title for family in FAMILIES.values() for code, title in family.items()}
"""Every code with its title, in order."""

"""What jinja2 made of `templates/package.py.jinja`, by `make tables`. DO NOT EDIT."""

from jinja2.runtime import LoopContext, Macro, Markup, Namespace, TemplateNotFound, TemplateReference, TemplateRuntimeError, Undefined, escape, identity, internalcode, markup_join, missing, str_join

JINJA2 = '3.1.6'
TEMPLATE = '4820da33569f212de0898aad2ab00108f249ad0d3d35afbdbb3c52236027abda'
name = 'package'

def root(context, missing=missing):
    resolve = context.resolve_or_missing
    undefined = environment.undefined
    concat = environment.concat
    cond_expr_undefined = Undefined
    if 0: yield None
    l_0_header = resolve('header')
    l_0_plan = resolve('plan')
    pass
    yield str((undefined(name='header') if l_0_header is missing else l_0_header))
    yield '\n"""What mtsldsl made of '
    yield str(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'source'))
    yield ': the network in model.py, its training in train.py."""\n\nfrom __future__ import annotations\n\nfrom typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from .model import Model\n\n__all__ = ["Model"]\n\n\ndef __getattr__(name: str) -> type[Model]:\n    # Imported when it is asked for: train.py has a setting to make before torch is loaded.\n    if name == "Model":\n        from .model import Model\n\n        return Model\n    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")\n'

blocks = {}
debug_info = '1=13&2=15'

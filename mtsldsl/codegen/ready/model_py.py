"""What jinja2 made of `templates/model.py.jinja`, by `make tables`. DO NOT EDIT."""

from jinja2.runtime import LoopContext, Macro, Markup, Namespace, TemplateNotFound, TemplateReference, TemplateRuntimeError, Undefined, escape, identity, internalcode, markup_join, missing, str_join

JINJA2 = '3.1.6'
TEMPLATE = '8b497390fb2c2108ec0ba68139d90990994744e09081f375730a89ae5f303106'
name = 'model'

def root(context, missing=missing):
    resolve = context.resolve_or_missing
    undefined = environment.undefined
    concat = environment.concat
    cond_expr_undefined = Undefined
    if 0: yield None
    l_0_header = resolve('header')
    l_0_plan = resolve('plan')
    try:
        t_1 = environment.filters['join']
    except KeyError:
        @internalcode
        def t_1(*unused):
            raise TemplateRuntimeError("No filter named 'join' found.")
    try:
        t_2 = environment.filters['length']
    except KeyError:
        @internalcode
        def t_2(*unused):
            raise TemplateRuntimeError("No filter named 'length' found.")
    try:
        t_3 = environment.filters['replace']
    except KeyError:
        @internalcode
        def t_3(*unused):
            raise TemplateRuntimeError("No filter named 'replace' found.")
    pass
    yield str((undefined(name='header') if l_0_header is missing else l_0_header))
    yield '\n"""The network of '
    yield str(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'source'))
    yield ': plain PyTorch '
    if environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'imports'):
        pass
        yield 'and the modules imported below'
    else:
        pass
        yield 'that needs nothing else'
    yield '. Model is at the end."""\n\n'
    if environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'uses_torch'):
        pass
        yield 'import torch\n'
    if environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'uses_functional'):
        pass
        yield 'import torch.nn.functional as F\n'
    yield 'from torch import Tensor, nn\n'
    if environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'imports'):
        pass
        yield '\n# isort: split\n'
        for l_1_line in environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'imports'):
            _loop_vars = {}
            pass
            yield str(l_1_line)
            yield '\n'
        l_1_line = missing
    l_1_loop = missing
    for (l_1_name, l_1_value), l_1_loop in LoopContext(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'constants'), undefined):
        _loop_vars = {}
        pass
        if environment.getattr(l_1_loop, 'first'):
            pass
            yield '\n'
        yield str(l_1_name)
        yield ' = '
        yield str(l_1_value)
        yield '\n'
    l_1_loop = l_1_name = l_1_value = missing
    for l_1_definition in environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'definitions'):
        _loop_vars = {}
        pass
        yield '\n\n'
        yield str(context.call(environment.getattr(l_1_definition, 'rstrip'), _loop_vars=_loop_vars))
        yield '\n'
    l_1_definition = missing
    for l_1_class in environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'classes'):
        _loop_vars = {}
        pass
        yield '\n\nclass '
        yield str(environment.getattr(l_1_class, 'name'))
        yield '(nn.Module):\n    """'
        yield str(t_3(context.eval_ctx, t_1(context.eval_ctx, environment.getattr(l_1_class, 'docstring'), '\n    '), '\n    \n', '\n\n'))
        yield '"""\n\n'
        if environment.getattr(environment.getattr(l_1_class, 'body'), 'attributes'):
            pass
            yield '    def __init__(self'
            yield str((((', ' + environment.getattr(l_1_class, 'argument')) + ': int') if environment.getattr(l_1_class, 'argument') else cond_expr_undefined("the inline if-expression on line 36 in 'model' evaluated to false and no else section was defined.")))
            yield ') -> None:\n        super().__init__()\n'
            for l_2_attribute in environment.getattr(environment.getattr(l_1_class, 'body'), 'attributes'):
                _loop_vars = {}
                pass
                yield '        self.'
                yield str(environment.getattr(l_2_attribute, 'name'))
                yield ' = '
                yield str(environment.getattr(l_2_attribute, 'constructor'))
                yield '\n'
            l_2_attribute = missing
            yield '\n'
        yield '    def forward(self'
        for l_2_name in environment.getattr(environment.getattr(l_1_class, 'body'), 'parameters'):
            _loop_vars = {}
            pass
            yield ', '
            yield str(l_2_name)
            yield ': Tensor'
        l_2_name = missing
        yield ') -> Tensor:\n'
        for l_2_statement in environment.getattr(environment.getattr(l_1_class, 'body'), 'statements'):
            _loop_vars = {}
            pass
            yield '        '
            yield str(environment.getattr(l_2_statement, 'line'))
            yield '\n'
        l_2_statement = missing
    l_1_class = missing
    for (l_1_name, l_1_said, l_1_expression) in environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'makers'):
        _loop_vars = {}
        pass
        yield '\n\ndef '
        yield str(l_1_name)
        yield '() -> nn.ModuleDict:\n    """'
        yield str(l_1_said)
        yield '"""\n    return '
        yield str(l_1_expression)
        yield '\n'
    l_1_name = l_1_said = l_1_expression = missing
    yield '\n\nclass Model(nn.Module):\n    """'
    yield str(t_3(context.eval_ctx, t_1(context.eval_ctx, environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'docstring'), '\n    '), '\n    \n', '\n\n'))
    yield '\n    """\n\n    def __init__(self) -> None:\n        super().__init__()\n'
    for l_1_container in environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'containers'):
        _loop_vars = {}
        pass
        yield '        self.'
        yield str(environment.getattr(l_1_container, 'name'))
        yield ' = '
        yield str(environment.getattr(l_1_container, 'expression'))
        yield '\n'
    l_1_container = missing
    yield '        self.heads = '
    yield str(environment.getattr(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'heads'), 'expression'))
    yield '\n'
    if environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'frozen'):
        pass
        yield '        for name in FROZEN:\n            self.get_submodule(name).requires_grad_(False).eval()\n\n    def train(self, mode: bool = True) -> "Model":\n        """Into training, or into evaluation, in which what is frozen always is."""\n        super().train(mode)\n        for name in FROZEN:\n            self.get_submodule(name).eval()\n        return self\n'
    yield '\n'
    l_1_loop = missing
    for l_1_pass, l_1_loop in LoopContext(environment.getattr(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'forward'), 'passes'), undefined):
        _loop_vars = {}
        pass
        if (not environment.getattr(l_1_loop, 'first')):
            pass
            yield '\n'
        if (not environment.getattr(l_1_pass, 'name')):
            pass
            yield '    def forward(self, '
            yield str(t_1(context.eval_ctx, environment.getattr(l_1_pass, 'inputs'), ': Tensor, '))
            yield ': Tensor) -> dict[str, Tensor]:\n'
        elif environment.getattr(l_1_pass, 'by_task'):
            pass
            yield '    def '
            yield str(environment.getattr(l_1_pass, 'name'))
            yield '(self, task: str, '
            yield str(t_1(context.eval_ctx, environment.getattr(l_1_pass, 'inputs'), ': Tensor, '))
            yield ': Tensor) -> Tensor:\n        """'
            yield str(environment.getattr(l_1_pass, 'said'))
            yield '"""\n'
        else:
            pass
            yield '    def '
            yield str(environment.getattr(l_1_pass, 'name'))
            yield '(self, '
            yield str(t_1(context.eval_ctx, environment.getattr(l_1_pass, 'inputs'), ': Tensor, '))
            yield ': Tensor) -> dict[str, Tensor]:\n        """'
            yield str(environment.getattr(l_1_pass, 'said'))
            yield '"""\n'
        l_2_loop = missing
        for l_2_group, l_2_loop in LoopContext(environment.getattr(l_1_pass, 'statements'), undefined):
            _loop_vars = {}
            pass
            if ((not environment.getattr(l_2_loop, 'first')) and ((t_2(l_2_group) > 1) or (t_2(environment.getattr(l_2_loop, 'previtem')) > 1))):
                pass
                yield '\n'
            for l_3_statement in l_2_group:
                _loop_vars = {}
                pass
                yield '        '
                yield str(environment.getattr(l_3_statement, 'line'))
                yield '\n'
            l_3_statement = missing
        l_2_loop = l_2_group = missing
        if environment.getattr(l_1_pass, 'spaced'):
            pass
            yield '\n'
        if environment.getattr(l_1_pass, 'by_task'):
            pass
            yield '        '
            yield str(environment.getattr(l_1_pass, 'out'))
            yield ': Tensor = '
            yield str(environment.getattr(l_1_pass, 'result'))
            yield '\n        return '
            yield str(environment.getattr(l_1_pass, 'out'))
            yield '\n'
        elif environment.getattr(l_1_pass, 'helping'):
            pass
            yield '        outputs = '
            yield str(environment.getattr(l_1_pass, 'result'))
            yield '\n        if self.training:  # these help, and are not used afterwards\n'
            for (l_2_key, l_2_expression) in environment.getattr(l_1_pass, 'helping'):
                _loop_vars = {}
                pass
                yield '            outputs["'
                yield str(l_2_key)
                yield '"] = '
                yield str(l_2_expression)
                yield '\n'
            l_2_key = l_2_expression = missing
            yield '        return outputs\n'
        else:
            pass
            yield '        return '
            yield str(environment.getattr(l_1_pass, 'result'))
            yield '\n'
    l_1_loop = l_1_pass = missing
    if environment.getattr(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'forward'), 'apart'):
        pass
        yield '\n    def forward(self, '
        yield str(t_1(context.eval_ctx, environment.getattr(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'forward'), 'inputs'), ': Tensor, '))
        yield ': Tensor, tasks: tuple[str, ...] = TASKS) -> dict[str, Tensor]:\n        """The outputs of `tasks`: all, or '
        yield str(environment.getattr(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'forward'), 'said'))
        yield '.'
        if environment.getattr(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'forward'), 'helpers'):
            pass
            yield ' In training those of the\n        heads that help them too.'
        yield '"""\n'
        if (t_2(environment.getattr(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'forward'), 'passes')) == 1):
            pass
            yield '        return {task: self.'
            yield str(environment.getattr(environment.getitem(environment.getattr(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'forward'), 'passes'), 0), 'name'))
            yield '(task, '
            yield str(t_1(context.eval_ctx, environment.getattr(environment.getitem(environment.getattr(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'forward'), 'passes'), 0), 'inputs'), ', '))
            yield ') for task in TASKS if task in tasks}\n'
        else:
            pass
            yield '        outputs: dict[str, Tensor] = {}\n'
            for l_1_pass in environment.getattr(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'forward'), 'passes'):
                _loop_vars = {}
                pass
                if environment.getattr(l_1_pass, 'by_task'):
                    pass
                    yield '        for task in '
                    yield str(environment.getattr(l_1_pass, 'constant'))
                    yield ':\n            if task in tasks:\n                outputs[task] = self.'
                    yield str(environment.getattr(l_1_pass, 'name'))
                    yield '(task, '
                    yield str(t_1(context.eval_ctx, environment.getattr(l_1_pass, 'inputs'), ', '))
                    yield ')\n'
                else:
                    pass
                    yield '        if "'
                    yield str(environment.getitem(environment.getattr(l_1_pass, 'tasks'), 0))
                    yield '" in tasks:\n            outputs |= self.'
                    yield str(environment.getattr(l_1_pass, 'name'))
                    yield '('
                    yield str(t_1(context.eval_ctx, environment.getattr(l_1_pass, 'inputs'), ', '))
                    yield ')\n'
            l_1_pass = missing
            yield '        return {task: outputs[task] for task in '
            if environment.getattr(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'forward'), 'helpers'):
                pass
                yield '(*TASKS, *HELPERS)'
            else:
                pass
                yield 'TASKS'
            yield ' if task in outputs}\n'

blocks = {}
debug_info = '1=31&2=33&4=42&7=45&11=49&14=52&15=55&18=59&19=62&22=65&24=70&27=74&29=77&32=81&33=83&35=85&36=88&38=90&39=94&43=101&44=109&45=113&48=117&51=121&52=123&53=125&58=129&63=131&64=135&66=141&67=143&79=148&80=151&83=154&84=157&85=159&86=162&87=166&89=171&90=175&92=178&93=181&96=184&97=188&100=192&103=195&104=198&105=202&106=204&107=207&109=209&110=213&114=222&117=225&119=228&120=230&122=236&123=239&126=246&127=249&128=252&130=254&132=261&133=263&136=269'

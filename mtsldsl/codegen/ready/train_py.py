"""What jinja2 made of `templates/train.py.jinja`, by `make tables`. DO NOT EDIT."""

from jinja2.runtime import LoopContext, Macro, Markup, Namespace, TemplateNotFound, TemplateReference, TemplateRuntimeError, Undefined, escape, identity, internalcode, markup_join, missing, str_join

JINJA2 = '3.1.6'
TEMPLATE = '1ce4c26770f3b184334740f32d094abb5c50ffb3a3bfd262f8e4794807da3354'
name = 'train'

def root(context, missing=missing):
    resolve = context.resolve_or_missing
    undefined = environment.undefined
    concat = environment.concat
    cond_expr_undefined = Undefined
    if 0: yield None
    l_0_header = resolve('header')
    l_0_plan = resolve('plan')
    l_0_spec = resolve('spec')
    l_0_deeper = missing
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
        t_3 = environment.filters['literal']
    except KeyError:
        @internalcode
        def t_3(*unused):
            raise TemplateRuntimeError("No filter named 'literal' found.")
    try:
        t_4 = environment.filters['map']
    except KeyError:
        @internalcode
        def t_4(*unused):
            raise TemplateRuntimeError("No filter named 'map' found.")
    try:
        t_5 = environment.tests['none']
    except KeyError:
        @internalcode
        def t_5(*unused):
            raise TemplateRuntimeError("No test named 'none' found.")
    pass
    yield str((undefined(name='header') if l_0_header is missing else l_0_header))
    yield '\n"""Trains '
    yield str(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'name'))
    yield ': '
    yield str(t_1(context.eval_ctx, t_4(context, environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'tasks'), attribute='name'), ', '))
    yield ' from '
    if environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'mixed'):
        pass
        yield str(t_2(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'streams')))
        yield ' sources of samples'
    else:
        pass
        yield 'one '
        yield str(t_1(context.eval_ctx, environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'data'), 'inputs'), ' and one '))
    yield '.\n\n    mtsldsl train '
    yield str(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'source'))
    yield '\n\nruns this very text, from its run folder; so does `python generated/'
    yield str(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'name'))
    yield '/train.py`.\nA knob is changed in the spec, then compiled again.\n"""\n\nfrom __future__ import annotations\n\nimport os\n\nos.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is loaded: idle threads sleep, and do not spin\n\nimport torch\nfrom torch.optim.lr_scheduler import LRScheduler\n\n'
    for l_1_line in environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'train_imports'):
        _loop_vars = {}
        pass
        yield str(l_1_line)
        yield '\n'
    l_1_line = missing
    yield '\nif __name__ != "__main__":  # run as a script, this file is checked and run anew by its last line\n    from .model import Model\n\nSOURCE = '
    yield str(t_3(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'source')))
    yield '  # compiled from this spec; the run folder keeps the copy that evolves\nEPOCHS = '
    yield str(environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'epochs'))
    yield '\n'
    if environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'mixed'):
        pass
        yield 'BATCH_SIZE = '
        yield str(environment.getattr(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'mixed'), 'batch'))
        yield '  # samples a '
        yield str(('step' if (environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'accumulate') == 1) else 'batch'))
        yield ', by data block\nSAMPLING = '
        yield str(environment.getattr(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'mixed'), 'sampling'))
        yield '  # how the sources of samples take turns\n'
    else:
        pass
        yield 'BATCH_SIZE = '
        yield str(environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'data'), 'batch'))
        yield '  # samples a '
        yield str(('step' if (environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'accumulate') == 1) else 'batch'))
        yield '\n'
    if (not t_5(environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'clip'))):
        pass
        yield 'CLIP = '
        yield str(t_3(environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'clip')))
        yield '  # greatest norm of the gradient of a step\n'
    if environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'warmup'):
        pass
        yield 'WARMUP = '
        yield str(environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'warmup'))
        yield '  # first steps, over which the learning rate rises\n'
    if (environment.getattr(environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'stop'), 'name') == 'patience'):
        pass
        yield 'PATIENCE = '
        yield str(environment.getattr(environment.getattr(environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'stop'), 'arguments'), 'epochs'))
        yield '  # epochs without a better one, after which the run ends\n'
    if (environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'accumulate') > 1):
        pass
        yield 'ACCUMULATE = '
        yield str(environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'accumulate'))
        yield '  # batches whose gradients are added up for a step\n'
    yield 'SEED = '
    yield str(environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'seed'))
    yield '  # of the order of samples and their augmentation\nPRECISION = '
    yield str(t_3(environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'precision')))
    yield '  # of the forward pass\n'
    if environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'mixed'):
        pass
        yield 'AUGMENT: dict[str, tuple[Named, ...]] = '
        yield str(environment.getattr(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'mixed'), 'augment'))
        yield '\n'
    else:
        pass
        yield 'AUGMENT: tuple[Named, ...] = '
        yield str(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'augment'))
        yield '\n'
    for l_1_knob in environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'knobs'):
        _loop_vars = {}
        pass
        yield str(environment.getattr(l_1_knob, 'name'))
        yield ' = '
        yield str(environment.getattr(l_1_knob, 'value'))
        yield str((('  # ' + environment.getattr(l_1_knob, 'comment')) if environment.getattr(l_1_knob, 'comment') else cond_expr_undefined("the inline if-expression on line 54 in 'train' evaluated to false and no else section was defined.")))
        yield '\n'
    l_1_knob = missing
    for l_1_line in environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'rest_of_knobs'):
        _loop_vars = {}
        pass
        yield '# '
        yield str(l_1_line)
        yield '\n'
    l_1_line = missing
    yield '\n\ndef make_optimizer(parameters: NamedParameters) -> torch.optim.Optimizer:\n    """The optimizer; a structural phase makes a new one of the same kind and carries the state over by name."""\n    return '
    yield str(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'optimizer'))
    yield '\n\n\n'
    if environment.getattr(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'scheduler'), 'of_steps'):
        pass
        yield 'def make_scheduler(optimizer: torch.optim.Optimizer, steps: int) -> LRScheduler | None:\n    """The schedule of the learning rate over so many steps, advanced once a step."""\n'
    else:
        pass
        yield 'def make_scheduler(optimizer: torch.optim.Optimizer) -> LRScheduler | None:\n    """The schedule of the learning rate, advanced once '
        yield str(('a step' if environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'rate_by_steps') else 'an epoch'))
        yield '."""\n'
    yield '    return '
    yield str(environment.getattr(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'scheduler'), 'call'))
    yield '\n\n\ndef main(session: Session) -> None:\n    """The whole run: tasks learn, the learner of sharing decides; validation chooses the epoch, test comes once."""\n    data = session.load_data()\n    learner = '
    yield str(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'learner'))
    yield '\n'
    if environment.getattr(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'scheduler'), 'of_steps'):
        pass
        yield '    steps = steps_of_run(session.spec, data.train)\n    training = session.start(Model, learner, make_optimizer, lambda optimizer: make_scheduler(optimizer, steps))\n'
    else:
        pass
        yield '    training = session.start(Model, learner, make_optimizer, make_scheduler)\n'
    yield '\n    while training.epoch < EPOCHS'
    if environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'tasks_stop'):
        pass
        yield ' and training.learning'
    if (environment.getattr(environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'stop'), 'name') == 'patience'):
        pass
        yield ' and not session.stops(training, learner, PATIENCE)'
    yield ':\n'
    if environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'mixed'):
        pass
        yield '        # Task learning: batches of every source of samples, each for the tasks that read it.\n        order = Schedule.of(data.train, BATCH_SIZE, SAMPLING, seed=SEED, epoch=training.epoch)\n        with session.epoch(training, len(order), order.samples) as epoch:\n'
        if (environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'accumulate') > 1):
            pass
            yield '            for served, batch in training.in_steps(order.batches(AUGMENT, session.device, training.seen), ACCUMULATE):\n'
        else:
            pass
            yield '            for served, batch in order.batches(AUGMENT, session.device, training.seen):\n'
        yield '                for tasks in training.sets(served):  # those that read the source of the batch\n'
    else:
        pass
        yield '        # Task learning: one pass over the training set.\n        with session.epoch(training, steps_per_epoch(data.train, BATCH_SIZE)) as epoch:\n            '
        yield str(('order = batches(' if (environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'accumulate') > 1) else 'for batch in batches('))
        yield '\n                data.train,\n                BATCH_SIZE,\n                seed=SEED,\n                epoch=training.epoch,\n                shuffle=True,\n                augment=AUGMENT,\n                device=session.device,\n                drop_last=True,\n                first=training.seen,\n'
        if (environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'accumulate') > 1):
            pass
            yield '            )\n            for batch in training.in_steps(order, ACCUMULATE):\n'
        else:
            pass
            yield '            ):\n'
        yield '                for tasks in training.sets():  # those that share no layer, one set after the other: less memory\n'
    yield '                    with autocast(PRECISION, session.device):\n                        outputs = training.forward('
    yield str(environment.getattr((undefined(name='plan') if l_0_plan is missing else l_0_plan), 'given'))
    yield ", tasks)\n                    losses = training.losses(outputs, batch)\n                    penalty = training.penalty(batch, outputs, losses)  # the learner's own loss, if it has one\n                    training.require_finite(losses, penalty)\n\n                    training.zero_grad(tasks)\n                    training.backward(losses, penalty)\n                    epoch.add(losses, penalty)\n"
    l_0_deeper = ('    ' if (environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'accumulate') > 1) else '')
    context.vars['deeper'] = l_0_deeper
    context.exported_vars.add('deeper')
    if (environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'accumulate') > 1):
        pass
        yield '                if training.step_is_whole:  # all its batches have been seen\n'
    if (not t_5(environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'clip'))):
        pass
        yield '                '
        yield str((undefined(name='deeper') if l_0_deeper is missing else l_0_deeper))
        yield 'training.clip(CLIP)\n'
    if environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'warmup'):
        pass
        yield '                '
        yield str((undefined(name='deeper') if l_0_deeper is missing else l_0_deeper))
        yield 'with warmed_up(training.optimizer, training.steps, WARMUP):\n                    '
        yield str((undefined(name='deeper') if l_0_deeper is missing else l_0_deeper))
        yield 'training.optimizer.step()\n'
    else:
        pass
        yield '                '
        yield str((undefined(name='deeper') if l_0_deeper is missing else l_0_deeper))
        yield 'training.optimizer.step()\n'
    if (not t_5(environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'ema'))):
        pass
        yield '                '
        yield str((undefined(name='deeper') if l_0_deeper is missing else l_0_deeper))
        yield 'training.average()  # the running mean of the weights, with the decay `ema`\n'
    elif (not t_5(environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'average'))):
        pass
        yield '                '
        yield str((undefined(name='deeper') if l_0_deeper is missing else l_0_deeper))
        yield 'training.average()  # over the last part of all steps that `keep` names, from where that begins\n'
    if environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'rate_by_steps'):
        pass
        yield '                '
        yield str((undefined(name='deeper') if l_0_deeper is missing else l_0_deeper))
        yield 'training.advance_schedule()\n'
    yield '                '
    yield str((undefined(name='deeper') if l_0_deeper is missing else l_0_deeper))
    yield 'epoch.end_step()\n'
    if (not t_5(environment.getattr(environment.getattr((undefined(name='spec') if l_0_spec is missing else l_0_spec), 'train'), 'average'))):
        pass
        yield '        training.reestimate(data.train)  # batch normalisations of the mean, from where that is evaluated and kept\n'
    yield '\n        # Structural phase: what the learner decides is written into the spec, which the network is made of anew.\n        if learner.due(training.position):\n            structural_phase(training, learner, data, session)\n\n        session.end_epoch(training, training.evaluate(data.validation))\n\n    session.finish(training, data)\n\n\nif __name__ == "__main__":  # compares this text and that of model.py with the spec, then runs this `main`\n    run_alone(SOURCE, __file__)\n'

blocks = {}
debug_info = '1=45&2=47&4=60&6=62&19=64&20=67&26=71&27=73&28=75&29=78&30=82&32=87&34=91&35=94&37=96&38=99&40=101&41=104&43=106&44=109&46=112&47=114&48=116&49=119&51=124&53=126&54=129&56=135&57=139&63=143&66=145&71=151&73=154&79=156&80=158&87=165&88=172&92=175&101=185&111=187&120=195&128=197&129=200&132=203&133=206&135=208&136=211&137=213&139=218&141=220&142=223&143=225&144=228&146=230&147=233&149=236&150=238'

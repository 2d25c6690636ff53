"""What surrounds a program: environment variables, and tools that NVIDIA hosts alone have."""

from __future__ import annotations

import re

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.statements import caught
from uncuda.literals import string_value
from uncuda.rules._calls import is_shown, last_word
from uncuda.rules._literals import in_cuda_class
from uncuda.rules._outcomes import softened
from uncuda.rules._variables import NAMES, WORDS, elsewhere, variable, variable_elsewhere
from uncuda.rules.base import Bad, Category, Good, Rule
from uncuda.rules.cuda_packages import HANDLED
from uncuda.walk import walk

_READERS = frozenset({"get", "getenv", "setdefault", "pop", "putenv", "unsetenv", "setenv", "delenv"})
_HANDLERS = frozenset({"FileNotFoundError", "OSError", "EnvironmentError", "Exception", "BaseException"})


def _is_environment(node: cst.BaseExpression, ctx: Context) -> bool:
    """Is this `os.environ`, a copy of it, or something whose name says that it holds an environment?"""
    if isinstance(node, cst.Call):
        if isinstance(node.func, cst.Attribute) and node.func.attr.value == "copy":
            return _is_environment(node.func.value, ctx)
        return last_word(node.func) == "dict" and bool(node.args) and _is_environment(node.args[0].value, ctx)
    if isinstance(node, (cst.Name, cst.Attribute)):
        return ctx.qualified(node) == "os.environ" or _environment_name(last_word(node))
    if isinstance(node, cst.Subscript):
        match node.slice:
            case [cst.SubscriptElement(slice=cst.Index(value=key))]:
                return _environment_name(string_value(key) or "")
    return string_value(node) == "os.environ"


def _environment_name(name: str) -> bool:
    return (
        re.search(r"(?:\A|_)env(?:s|iron|ironment)?(?:_?(?:vars?|variables|dict|copy))?\Z", name, re.I)
        is not None
    )


class CudaEnvironment(Rule):
    """Environment variables that CUDA's libraries read mean nothing to another vendor's.

    `CUDA_VISIBLE_DEVICES` set for a child process hides no NPU: the job takes every device. Nothing raises. Each
    vendor has names of its own, and most are read once, when the runtime starts: they are set by the
    launcher, not by the program. Nothing is rewritten.
    """

    code = "UC701"
    name = "cuda-environment"
    triggers = WORDS
    category = Category.POTENTIAL
    effort = 1
    priority = 40
    sources = ("knowledge base: env:*", "vendors' variables: knowledge base, targets")
    bad = (
        Bad("import os\n\nos.environ['CUDA_VISIBLE_DEVICES'] = '0'\n"),
        Bad("import os\n\nn = len(os.environ['CUDA_VISIBLE_DEVICES'].split(','))\n", id="read"),
        Bad(
            "from os import environ, getenv\n\nif environ.get('NCCL_DEBUG') or getenv('TORCH_NCCL_BLOCKING_WAIT'):\n    pass\n",
            count=2,
            id="from-os",
        ),
        Bad(
            "import os\n\nos.environ.setdefault('PYTORCH_CUDA_ALLOC_CONF', 'expandable_segments:True')\n",
            id="setdefault",
        ),
        Bad(
            "import os, subprocess\n\nenv = os.environ.copy()\nenv['CUDA_VISIBLE_DEVICES'] = str(i)\n"
            "subprocess.run(cmd, env=env)\n",
            id="copy",
        ),
        Bad(
            "import os, subprocess\n\nsubprocess.run(cmd, env={**os.environ, 'CUDA_LAUNCH_BLOCKING': '1'})\n",
            id="dict",
        ),
        Bad(
            "import os\n\nos.environ.update(CUDA_VISIBLE_DEVICES='0', NCCL_P2P_DISABLE='1')\n",
            count=2,
            id="update",
        ),
        Bad(
            "import os\nfrom unittest import mock\n\n\n@mock.patch.dict(os.environ, {'CUDA_VISIBLE_DEVICES': ''})\n"
            "def test_x():\n    pass\n",
            id="patch",
        ),
        Bad(
            "def test_x(monkeypatch):\n    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '0')\n",
            id="monkeypatch",
        ),
        Bad(
            "import os\n\nif 'CUDA_VISIBLE_DEVICES' in os.environ:\n    del os.environ['CUDA_VISIBLE_DEVICES']\n\n\n"
            "def f():\n    old = os.environ.get('NCCL_DEBUG')\n    os.environ['NCCL_DEBUG'] = 'INFO'\n    return old\n",
            count=2,
            id="once-where-it-is-named",
        ),
        Bad("import subprocess\n\nsubprocess.run(cmd, env=dict(base, NCCL_DEBUG='INFO'))\n", id="keywords"),
        Bad("update_environment_variables({'CUDA_VISIBLE_DEVICES': '0'})\n", id="function"),
        Bad("worker.update_env_vars.remote({'CUDA_VISIBLE_DEVICES': '0'})\n", id="remote"),
        Bad("runtime_env = {'env_vars': {'NCCL_DEBUG': 'INFO'}}\n", id="nested"),
        Bad(
            "import os\n\nhome = os.environ.get('CUDA_HOME') or os.getenv('CUDA_PATH')\n",
            count=2,
            id="toolkit",
        ),
    )
    good = (
        Good("import os\n\nos.environ['ASCEND_RT_VISIBLE_DEVICES'] = '0'\n", "another vendor's"),
        Good("import os\n\nos.environ['CUBLAS_WORKSPACE_CONFIG'] = ':4096:8'\n", "harmless where it isn't read"),
        Good("import os\n\nos.environ['OMP_NUM_THREADS'] = '1'\n", "not CUDA's"),
        Good("print('set CUDA_VISIBLE_DEVICES to choose devices')\n", "prose"),
        Good("import os\n\nlog.info('CUDA_VISIBLE_DEVICES', os.environ['CUDA_VISIBLE_DEVICES'])\n"
             "print(f\"{os.getenv('NCCL_DEBUG')}\")\n", "shown, not used"),
        Good("TABLE = {'CUDA_VISIBLE_DEVICES': 'which devices'}\n", "a dict that is no environment"),
        Good("names = ['CUDA_VISIBLE_DEVICES', 'NCCL_DEBUG']\n", "a list of names"),
        Good("import os\n\n\nclass CudaPlatform:\n    def limit(self):\n        os.environ['CUDA_VISIBLE_DEVICES'] = '0'\n",
             "CUDA's side of something"),
        Good("CUDA_VISIBLE_DEVICES = '0'\nCUDA_HOME = None\n", "a variable of Python"),
        Good("settings['CUDA_HOME'] = '/usr'\n", "not an environment"),
        Good("import os\n\nos.environ['CUDA'] = '1'\nos.environ['CUDA_MY_OWN'] = '1'\n", "names of one's own"),
        Good("update({'CUDA_VISIBLE_DEVICES': '0'})\n", "not known to be an environment"),
        Good("worker.tell.remote({'CUDA_VISIBLE_DEVICES': '0'})\n", "not known to be an environment"),
        Good("launch(dict(NCCL_DEBUG='INFO'))\n", "not known to be an environment"),
        Good("parser.get('CUDA_HOME')\n", "not an environment"),
        Good('"""Set os.environ["CUDA_VISIBLE_DEVICES"]."""\n', "prose"),
    )  # fmt: skip

    def visit_SimpleString(self, node: cst.SimpleString, ctx: Context) -> None:
        text = string_value(node)
        if (
            text is not None
            and NAMES.match(text)
            and not ctx.is_claimed(node)
            and not is_shown(ctx)
            and _names_variable(node, ctx)
        ):
            self._report(node, text, ctx)

    def visit_Arg(self, node: cst.Arg, ctx: Context) -> None:
        if node.keyword is None or NAMES.match(node.keyword.value) is None:
            return
        call = ctx.parent
        if not isinstance(call, cst.Call):
            return
        func = call.func
        updates = (
            isinstance(func, cst.Attribute)
            and func.attr.value == "update"
            and _is_environment(func.value, ctx)
        )
        if updates or (
            last_word(func) == "dict"
            and (_copies(call, ctx) or _becomes_environment(ctx.ancestors[:-1], call))
        ):
            self._report(node.keyword, node.keyword.value, ctx)

    def _report(self, node: cst.BaseExpression, name: str, ctx: Context) -> None:
        found = variable(name)
        if found is None or in_cuda_class(ctx) or not _is_first(node, name, ctx):
            return
        symbol, note = found
        others = variable_elsewhere(name, symbol, note, ctx.options.targets)
        ctx.report(
            self,
            node,
            f"`{name}` is CUDA's" + (f"; elsewhere: {others}" if others else ""),
            symbol=symbol,
        )


def _is_first(node: cst.BaseExpression, name: str, ctx: Context) -> bool:
    """Is this where its function, or its statement at the top level, names the variable for the first time?"""
    around: cst.CSTNode = ctx.function or next(
        (n for n in ctx.ancestors if isinstance(n, (cst.SimpleStatementLine, cst.BaseCompoundStatement))),
        ctx.root,
    )
    for item in walk(around):
        if item is node:
            return True
        if isinstance(item, cst.SimpleString) and string_value(item) == name:
            return False
    return True


def _copies(call: cst.Call, ctx: Context) -> bool:
    return any(a.keyword is None and _is_environment(a.value, ctx) for a in call.args)


def _names_variable(node: cst.SimpleString, ctx: Context) -> bool:
    """Is the text at hand used as the name of an environment variable?"""
    match ctx.ancestors[-3:]:
        case [cst.Subscript() as above, cst.SubscriptElement(), cst.Index()]:
            return _is_environment(above.value, ctx)
        case [_, cst.Call() as call, cst.Arg() as arg]:
            return _call_names(call, arg, ctx)
        case [_, cst.Dict(), cst.DictElement(key=key)] if key is node:
            return _becomes_environment(ctx.ancestors[:-2], ctx.ancestors[-2])
        case [
            _,
            _,
            cst.Comparison(
                left=left, comparisons=[cst.ComparisonTarget(operator=operator, comparator=right)]
            ),
        ]:
            return left is node and isinstance(operator, (cst.In, cst.NotIn)) and _is_environment(right, ctx)
        case _:
            return False


def _call_names(call: cst.Call, arg: cst.Arg, ctx: Context) -> bool:
    func = call.func
    last = last_word(func)
    if not call.args or call.args[0] is not arg or last not in _READERS:
        return False
    if last in ("getenv", "putenv", "unsetenv", "setenv", "delenv"):
        return True
    return isinstance(func, cst.Attribute) and _is_environment(func.value, ctx)


def _becomes_environment(path: list[cst.CSTNode], node: cst.CSTNode) -> bool:
    """Does the dict `node`, which stands at the end of `path`, become an environment: by the name that it is given,
    by the call that takes it, or because it copies os.environ?"""
    if isinstance(node, cst.Dict):
        for element in node.elements:
            if isinstance(element, cst.StarredDictElement) and "env" in last_word(element.value):
                return True
    below = node
    for above in reversed(path):
        match above:
            case cst.Arg():
                if above.keyword is not None:
                    return _environment_name(above.keyword.value)
            case cst.Call():
                func = above.func
                if isinstance(func, cst.Attribute) and func.attr.value == "remote":
                    func = func.value  # Ray calls it in another process
                if _environment_name(last_word(func)):
                    return True
                if last_word(func) in ("update", "dict") and isinstance(func, cst.Attribute):
                    owner = func.value
                    if _environment_name(last_word(owner)):
                        return True
                    return any(
                        _environment_name(last_word(a.value)) or string_value(a.value) == "os.environ"
                        for a in above.args
                    )
                return False
            case cst.DictElement():
                if below is above.value and _environment_name(string_value(above.key) or ""):
                    return True
            case cst.Assign():
                return any(_target_is_environment(t.target) for t in above.targets)
            case cst.AnnAssign():
                return _target_is_environment(above.target)
            case cst.NamedExpr() | cst.Dict() | cst.IfExp() | cst.BooleanOperation() | cst.BinaryOperation():
                pass
            case _:
                return False
        below = above
    return False


def _target_is_environment(node: cst.BaseExpression) -> bool:
    match node:
        case cst.Subscript(slice=[cst.SubscriptElement(slice=cst.Index(value=key))]):
            return _environment_name(string_value(key) or "")
        case _:
            return _environment_name(last_word(node))


_PROGRAMS = re.compile(r"(?:\S*/)?(nvidia-smi|nvcc|nvprof)(?:\.exe)?(?=\s|\Z)")
_RUNNERS = frozenset(
    """run call check_call check_output Popen getoutput getstatusoutput system popen which find_executable execvp execlp
    create_subprocess_exec create_subprocess_shell run_command run_cmd execute execute_command shell sh cmd""".split()
)


class NvidiaSmi(Rule):
    """`nvidia-smi` and `nvcc` are installed on NVIDIA hosts only.

    Elsewhere the call raises FileNotFoundError, or gives the shell's error text where figures were expected.
    For memory and names torch itself answers on every accelerator; for the rest each vendor has a tool of its own,
    with figures of its own.
    """

    code = "UC703"
    name = "nvidia-smi"
    reads_texts = True
    triggers = ("nvidia-smi", "nvcc", "nvprof")
    category = Category.MANDATORY
    effort = 3
    priority = 30
    sources = ("knowledge base: nvidia-smi", "vendors' tools: knowledge base, targets")
    bad = (
        Bad(
            "import subprocess\n\nout = subprocess.check_output(['nvidia-smi', '--query-gpu=name', '--format=csv'])\n"
        ),
        Bad("import os\n\nos.system('nvidia-smi')\n", id="shell"),
        Bad("from subprocess import run\n\nrun('/usr/bin/nvidia-smi -L', shell=True)\n", id="path"),
        Bad(
            "import subprocess\n\nif subprocess.call(f'nvcc --version > {path}', shell=True) == 0:\n    pass\n",
            id="f-string",
        ),
        Bad("import shutil\n\nhas = shutil.which('nvidia-smi') is not None\n", id="which"),
        Bad("cmd = ['nvidia-smi', '-q']\nrun_it(cmd)\n", id="list"),
        Bad("QUERY = 'nvidia-smi --query-gpu=memory.used --format=csv'\n", id="text"),
        Bad(
            "import os, subprocess\n\nsubprocess.run([os.path.join(home, 'bin', 'nvcc'), '-V'])\n",
            id="joined",
        ),
    )
    good = (
        Good("import subprocess\n\nsubprocess.run(['npu-smi', 'info'])\n", "another vendor's"),
        Good("print('nvidia-smi not found')\nraise RuntimeError('run nvidia-smi to see')\n", "shown, not run"),
        Good("log.info('nvidia-smi')\n", "shown, not run"),
        Good('"""Calls nvidia-smi."""\n# nvidia-smi\n', "prose"),
        Good("import os\n\nos.system('echo nvidia-smi')\n", "not the program that runs"),
        Good("names = {'nvidia-smi': 1}\n", "a dict key"),
        Good("import shutil\n\nshutil.which('python')\n"),
        Good("if line.startswith('nvidia-smi'):\n    pass\n", "a text that is looked for"),
        Good("text = 'nvidia-smi'\nlabels = ('nvcc', 'gcc')\n", "a name alone"),
    )  # fmt: skip

    def visit_SimpleString(self, node: cst.SimpleString, ctx: Context) -> None:
        text = string_value(node)
        if text is not None:
            self._visit(node, text, ctx)

    def visit_FormattedString(self, node: cst.FormattedString, ctx: Context) -> None:
        first = node.parts[0] if node.parts else None
        if isinstance(first, cst.FormattedStringText):
            self._visit(node, first.value, ctx)

    def _visit(self, node: cst.SimpleString | cst.FormattedString, text: str, ctx: Context) -> None:
        found = _PROGRAMS.match(text)
        if found is None or ctx.is_claimed(node) or not _is_command(node, text[found.end() :], ctx):
            return
        from uncuda.rules.knowledge import outcomes

        table, handled = outcomes("subprocess nvidia-smi"), _is_handled(node, ctx)
        ctx.report(
            self,
            node,
            f"`{found[1]}` is on NVIDIA hosts only{_tools(ctx) if found[1] == 'nvidia-smi' else ''}",
            symbol="subprocess nvidia-smi",
            outcomes=softened(table) if handled else table,
            category=Category.POTENTIAL if handled else None,
        )


def _is_handled(node: cst.BaseExpression, ctx: Context) -> bool:
    """Is the program's absence, which raises, caught, or only asked for?"""
    if caught(ctx, node) & _HANDLERS or ctx.guard(node) in HANDLED:
        return True
    calls = (n for n in ctx.ancestors if isinstance(n, cst.Call))
    return any(last_word(call.func) in ("which", "find_executable") for call in calls)


def _tools(ctx: Context) -> str:
    """The tools that other vendors have instead, for the message."""
    names = elsewhere("smi", ctx.options.targets)
    return f"; elsewhere: {names}" if names else ""


def _is_command(node: cst.BaseExpression, rest: str, ctx: Context) -> bool:
    """Is the text run as a program: by a call that runs one, at the head of a list, or with options behind it?"""
    below: cst.CSTNode = node
    for above in reversed(ctx.ancestors):
        match above:
            case cst.Element() | cst.Arg() | cst.BinaryOperation() | cst.Attribute():
                pass
            case cst.List():
                if above.elements[0] is not below and not rest:
                    return False
                if len(above.elements) > 1 and above.elements[0] is below and isinstance(_second(above), str):
                    return True
            case cst.Call():
                last = last_word(above.func)
                if last in _RUNNERS:
                    return True
                if last not in ("join", "split", "format", "Path", "str"):
                    return False
            case cst.Assign() | cst.AnnAssign() | cst.Return():
                return rest.lstrip().startswith("-")
            case _:
                return False
        below = above
    return False


def _second(node: cst.List) -> str | None:
    """The second element, where it is an option."""
    text = string_value(node.elements[1].value)
    return text if text is not None and text.startswith("-") else None

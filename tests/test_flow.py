"""What an expression holds: a table of small programs, each with one or more `probe(x)`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from probes import probe, probes

from uncuda.values import UNKNOWN, Kind, Value, Which

CUDA = Value(Kind.TEXT, Which.CUDA)
CUDA_1 = Value(Kind.TEXT, Which.CUDA, "1")
CPU = Value(Kind.TEXT, Which.OTHER)
EITHER = Value(Kind.TEXT, Which.CUDA_OR_CPU)
TEXT = Value(Kind.TEXT)
CUDA_DEVICE = Value(Kind.DEVICE, Which.CUDA)
EITHER_DEVICE = Value(Kind.DEVICE, Which.CUDA_OR_CPU)
SELECTED = Value(Kind.DEVICE, Which.SELECTED)
FLAG = Value(Kind.FLAG, Which.CUDA)
DENIAL = Value(Kind.DENIAL, Which.CUDA)
ACCELERATOR = Value(Kind.FLAG, Which.SELECTED)
TENSOR = Value(Kind.TENSOR)
MODULE = Value(Kind.MODULE)
NONE = Value(Kind.NONE)

AVAILABLE = "torch.cuda.is_available()"
T = "import torch\n"


def inside(body: str, signature: str = "f()") -> str:
    """`body` as that of a function."""
    return T + f"\n\ndef {signature}:\n" + "".join(f"    {line}\n" for line in body.splitlines())


LITERALS = [
    ('probe("cuda")', CUDA),
    ("probe('cuda:1')", CUDA_1),
    ("probe('cu' 'da')", CUDA),
    ("probe(r'cuda')", CUDA),
    ("probe(b'cuda')", UNKNOWN),
    ("probe('cuda-11')", UNKNOWN),
    ("probe('cuda ')", UNKNOWN),
    ("probe('Cuda')", UNKNOWN),
    ("probe('cpu')", CPU),
    ("probe('mps')", CPU),
    ("probe(f'cuda:{i}')", Value(Kind.TEXT, Which.CUDA, "?")),
    ("probe(f'cuda:{i:>3}')", UNKNOWN),
    ("probe('cuda:' + str(i))", Value(Kind.TEXT, Which.CUDA, "?")),
    ("probe('cuda:%d' % i)", Value(Kind.TEXT, Which.CUDA, "?")),
    ("probe('cuda:{}'.format(i))", Value(Kind.TEXT, Which.CUDA, "?")),
    ("probe(None)", NONE),
    ("probe(1)", Value(Kind.INT, index="1")),
    ("probe(x)", UNKNOWN),
    ("probe(torch.device('cuda'))", CUDA_DEVICE),
    ("probe(torch.device('cuda', 0))", Value(Kind.DEVICE, Which.CUDA, "?")),
    ("probe(torch.device(type='cuda', index=0))", Value(Kind.DEVICE, Which.CUDA, "?")),
    ("probe(torch.device('cuda').type)", CUDA),
    ("probe(str(torch.device('cuda')))", CUDA),
    ("probe(torch.device(d))", UNKNOWN),
    ("probe(torch.zeros(1))", TENSOR),
    ("probe(torch.zeros(1).float().to('cuda'))", TENSOR),
    ("probe(torch.zeros(1).sum() + 1)", TENSOR),
    ("probe(torch.zeros(1)[0])", TENSOR),
    ("probe(torch.zeros(1).item())", UNKNOWN),
    ("probe(torch.nn.Linear(1, 1))", MODULE),
    ("probe(torch.nn.Linear(1, 1).eval().half())", MODULE),
    ("probe(torch.nn.Linear(1, 1).weight)", UNKNOWN),
    ("probe(torch.nn.functional.relu(x))", TENSOR),
    ("probe((y := 'cuda'))", CUDA),
    (f"probe('cuda' if {AVAILABLE} else 'cpu')", EITHER),
    (f"probe('cpu' if not {AVAILABLE} else 'cuda')", EITHER),
    (f"probe('cuda:1' if {AVAILABLE} else 'cpu')", Value(Kind.TEXT, Which.CUDA_OR_CPU, "1")),
    (f"probe('cuda' if {AVAILABLE} and x else 'cpu')", EITHER),
    ("probe('cuda' if torch.cuda.device_count() else 'cpu')", EITHER),
    ("probe('cuda' if torch.cuda.device_count() > 1 else 'cpu')", TEXT),
    ("probe('cuda' if x.is_cuda else 'cpu')", TEXT),
    ("probe('cuda' if y == 'cuda' else 'cpu')", TEXT),
    ("probe('cuda' if x else 'cpu')", TEXT),
    ("probe('cuda' if x else 'cuda')", CUDA),
    ("probe('cuda' if x else 1)", UNKNOWN),
    ("probe(torch.accelerator.current_accelerator())", SELECTED),
    (
        "probe(torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device('cpu'))",
        SELECTED,
    ),
    ("probe(torch.accelerator.current_accelerator() or torch.device('cpu'))", SELECTED),
    ("probe(torch.accelerator.current_accelerator().type)", Value(Kind.TEXT, Which.SELECTED)),
]
COUNT = "torch.cuda.device_count()"


def _partly(value: Value) -> Value:
    return replace(value, partly=True)


FLAGS = [
    (f"probe({AVAILABLE})", FLAG),
    (f"probe(not {AVAILABLE})", DENIAL),
    (f"probe(not not {AVAILABLE})", FLAG),
    (f"probe({AVAILABLE} and x)", FLAG),
    (f"probe(x and y and {AVAILABLE})", FLAG),
    (f"probe({AVAILABLE} or x)", UNKNOWN),
    (f"probe(not ({AVAILABLE} and x))", DENIAL),
    (f"probe(not {AVAILABLE} or x)", DENIAL),
    (f"probe(not {AVAILABLE} and x)", UNKNOWN),
    (f"probe(not (not {AVAILABLE} or x))", FLAG),
    (f"probe({AVAILABLE} or {AVAILABLE})", FLAG),
    (f"probe({AVAILABLE} or torch.accelerator.is_available())", ACCELERATOR),
    (f"probe(bool({AVAILABLE}))", FLAG),
    (f"probe(bool(not {AVAILABLE}))", DENIAL),
    ("probe(x.device == torch.device('cuda'))", _partly(FLAG)),
    ("probe(x.device.type == 'cuda')", _partly(FLAG)),
    ("probe('cuda' == x.device.type)", _partly(FLAG)),
    ("probe(x.device.type != 'cuda')", _partly(DENIAL)),
    ("probe(not x.device.type == 'cuda')", _partly(DENIAL)),
    ("probe(x.is_cuda)", _partly(FLAG)),
    ("probe(next(x.parameters()).is_cuda)", _partly(FLAG)),
    ("probe(args.is_cuda)", UNKNOWN),
    (f"probe({AVAILABLE} and x.is_cuda)", _partly(FLAG)),
    (f"probe(x.is_cuda and {AVAILABLE})", _partly(FLAG)),
    ("probe(x.device.type == 'cpu')", _partly(Value(Kind.DENIAL, Which.SELECTED))),
    ("probe(x.device.type != 'cpu')", _partly(ACCELERATOR)),
    ("probe(x.device.type not in ('cpu', 'meta'))", _partly(ACCELERATOR)),
    ("probe(x.device.type in ('cpu', 'meta'))", _partly(Value(Kind.DENIAL, Which.SELECTED))),
    ("probe(x.device.type not in ('meta',))", UNKNOWN),
    ("probe(x.device.type not in ('cpu', 'mps'))", UNKNOWN),
    ("probe(x.device != 'cpu')", UNKNOWN),
    (f"probe({COUNT})", Value(Kind.COUNT, Which.CUDA)),
    ("probe(torch.accelerator.device_count())", Value(Kind.COUNT, Which.SELECTED)),
    (f"probe(not {COUNT})", DENIAL),
    (f"probe(x and {COUNT})", FLAG),
    (f"probe({COUNT} > 0)", FLAG),
    (f"probe({COUNT} >= 1)", FLAG),
    (f"probe(0 < {COUNT})", FLAG),
    (f"probe({COUNT} != 0)", FLAG),
    (f"probe({COUNT} == 0)", DENIAL),
    (f"probe({COUNT} < 1)", DENIAL),
    (f"probe({COUNT} > 1)", _partly(FLAG)),
    (f"probe({COUNT} >= 2)", _partly(FLAG)),
    (f"probe({COUNT} == 1)", _partly(FLAG)),
    (f"probe({COUNT} < 2)", _partly(DENIAL)),
    (f"probe({COUNT} <= 1)", _partly(DENIAL)),
    (f"probe({COUNT} >= 0)", UNKNOWN),
    (f"probe({COUNT} != 2)", _partly(DENIAL)),
    (f"probe({COUNT} > x)", UNKNOWN),
    ("probe('cuda' < x == y)", UNKNOWN),
    ("probe(torch.accelerator.is_available())", ACCELERATOR),
    ("probe(available())", UNKNOWN),
]


@pytest.mark.parametrize(("code", "value"), [*LITERALS, *FLAGS])
def test_expressions(code: str, value: Value) -> None:
    assert probe(T + code + "\n").value == value
    assert probe(inside(code)).value == value


IN_A_FUNCTION = [
    ("d = 'cuda'\nprobe(d)", CUDA),
    ("probe(d)\nd = 'cuda'", CUDA),
    ("d = 'cpu'\nd = 'cuda'\nprobe(d)", CUDA),
    ("d = 'cuda'\nprobe(d)\nd = 'cpu'", CUDA),
    ("d = e = 'cuda'\nprobe(e)", CUDA),
    ("d, e = 'cpu', 'cuda'\nprobe(e)", CUDA),
    ("d, *e = 'cpu', 'cuda'\nprobe(d)", UNKNOWN),
    ("(d, [e]) = 'cpu', ['cuda']\nprobe(e)", CUDA),
    ("d, e = g()\nprobe(e)", UNKNOWN),
    ("d: str = 'cuda'\nprobe(d)", CUDA),
    ("d: str\nd = 'cuda'\nprobe(d)", CUDA),
    ("d = 'cuda'\nd: str\nprobe(d)", CUDA),
    ("d = 'cuda'\nd += ':1'\nprobe(d)", UNKNOWN),
    ("d = 'cuda'\ndel d\nprobe(d)", UNKNOWN),
    ("d = 'cuda'\nfor d in g():\n    pass\nprobe(d)", UNKNOWN),
    ("d = 'cuda'\nwith g() as d:\n    probe(d)", UNKNOWN),
    ("with g() as e:\n    d = 'cuda'\nprobe(d)", CUDA),
    ("d = 'cuda'\nimport d\nprobe(d)", UNKNOWN),
    ("d = 'cuda'\ndef d(): pass\nprobe(d)", UNKNOWN),
    ("d = 'cuda'\nclass d: pass\nprobe(d)", UNKNOWN),
    ("if (d := 'cuda'):\n    probe(d)", CUDA),
    ("d = 'cpu'\nif (d := 'cuda'):\n    probe(d)", TEXT),
    # branches
    ("if x:\n    d = 'cuda'\nprobe(d)", CUDA),
    ("if x:\n    d = 'cuda'\nelse:\n    d = 'cpu'\nprobe(d)", TEXT),
    ("if x:\n    d = 'cuda'\nelse:\n    d = 1\nprobe(d)", UNKNOWN),
    ("if x:\n    d = 'cuda'\nelse:\n    d = 'cpu'\n    probe(d)", CPU),
    ("d = 'cpu'\nif x:\n    d = 'cuda'\nelse:\n    probe(d)", CPU),
    ("d = 'cpu'\nif x:\n    d = 'cuda'\nprobe(d)", TEXT),
    ("d = 'cpu'\nif x:\n    d = 'cuda'\n    return d\nprobe(d)", CPU),
    ("d = 'cpu'\nif x:\n    d = 'cuda'\n    raise x\nprobe(d)", CPU),
    ("if x:\n    d = 'cuda'\nelif y:\n    d = 'cuda'\nelse:\n    d = 'cuda'\nprobe(d)", CUDA),
    (f"if {AVAILABLE}:\n    d = 'cuda'\nelse:\n    d = 'cpu'\nprobe(d)", EITHER),
    (f"d = 'cpu'\nif {AVAILABLE}:\n    d = 'cuda'\nprobe(d)", EITHER),
    (f"d = 'cuda'\nif not {AVAILABLE}:\n    d = 'cpu'\nprobe(d)", TEXT),
    (f"if not {AVAILABLE}:\n    d = 'cpu'\nelse:\n    d = 'cuda'\nprobe(d)", EITHER),
    (f"if {AVAILABLE}:\n    d = 'cuda'\nelif y:\n    d = 'mps'\nelse:\n    d = 'cpu'\nprobe(d)", EITHER),
    (f"u = {AVAILABLE}\nif u and x:\n    d = torch.device('cuda')\nelse:\n    d = torch.device('cpu')\nprobe(d)", EITHER_DEVICE),
    (f"if {AVAILABLE}:\n    d = 'cuda'\nelse:\n    d = torch.device('cpu')\nprobe(d)", UNKNOWN),
    ("try:\n    d = 'cuda'\nexcept E:\n    probe(d)", CUDA),
    ("try:\n    d = 'cuda'\nexcept E as d:\n    pass\nprobe(d)", UNKNOWN),
    ("try:\n    d = 'cuda'\nfinally:\n    pass\nprobe(d)", CUDA),
    ("match x:\n    case 1:\n        d = 'cuda'\n    case _:\n        d = 'cpu'\n        probe(d)", CPU),
    ("d = 'cuda'\nmatch x:\n    case [d, *_]:\n        probe(d)", UNKNOWN),
    ("d = 'cuda'\nmatch x:\n    case {'a': 1, **d}:\n        probe(d)", UNKNOWN),
    # loops
    ("d = 'cuda'\nfor i in x:\n    probe(d)", CUDA),
    ("d = 'cuda'\nfor i in x:\n    probe(d)\n    d = 'cpu'", TEXT),
    ("d = 'cuda'\nfor i in x:\n    d = 'cpu'\n    probe(d)", CPU),
    ("for i in x:\n    d = 'cuda'\n    while y:\n        probe(d)\n        d = 'cpu'", TEXT),
    ("for i in x:\n    d = 'cuda'\n    while y:\n        probe(d)\n    d = 'cpu'", CUDA),
    ("d = 'cuda'\nfor i in x:\n    probe(d)\nd = 'cpu'", CUDA),
    ("d = 'cuda'\nfor i in x:\n    if y:\n        d = 'cpu'\n    else:\n        probe(d)", TEXT),
    ("d = 'cuda'\nfor i in x:\n    pass\nelse:\n    probe(d)\nd = 'cpu'", CUDA),
    # through other names
    ("d = 'cuda'\ne = d\nd = 'cpu'\nprobe(e)", CUDA),
    ("d = 'cuda'\nd = torch.device(d)\nprobe(d)", CUDA_DEVICE),
    (f"u = {AVAILABLE}\nd = 'cuda' if u else 'cpu'\nprobe(d)", EITHER),
    (f"no = not {AVAILABLE}\nprobe('cpu' if no else 'cuda')", EITHER),
    # inner scopes
    ("d = 'cuda'\ndef g():\n    probe(d)", CUDA),
    ("d = 'cuda'\ndef g():\n    probe(d)\nd = 'cpu'", TEXT),
    ("d = 'cuda'\ndef g(d):\n    probe(d)", UNKNOWN),
    ("d = 'cuda'\ndef g(d=d):\n    probe(d)", UNKNOWN),
    ("d = 'cuda'\ndef g(e=probe(d), d=1):\n    pass", CUDA),
    ("d = 'cuda'\n@probe(d)\ndef g(d):\n    pass", CUDA),
    ("d = 'cuda'\ng = lambda d: probe(d)", UNKNOWN),
    ("d = 'cuda'\ng = lambda: probe(d)", CUDA),
    ("d = 'cuda'\ng = lambda d=probe(d): d", CUDA),
    ("d = 'cuda'\n[probe(d) for i in x]\nd = 'cpu'", CUDA),
    ("d = 'cuda'\n[probe(d) for d in x]", UNKNOWN),
    ("d = 'cuda'\n{k: probe(v) for k, v in x}", UNKNOWN),
    ("d = 'cuda'\ndef g():\n    nonlocal d\n    d = 'cpu'\nprobe(d)", UNKNOWN),
    ("d = 'cuda'\nclass C:\n    d = 'cpu'\n    probe(d)", CPU),
    ("d = 'cuda'\nclass C:\n    d = 'cpu'\n    def g(self):\n        probe(d)", CUDA),
    ("d = 'cuda'\nclass C:\n    d = 'cpu'\n    e = [probe(d) for _ in x]", CUDA),
    # attributes of plain names
    (f"args = g()\nargs.cuda = not args.no_cuda and {AVAILABLE}\nprobe(args.cuda)", FLAG),
    (f"args.cuda = {AVAILABLE}\nargs = g()\nprobe(args.cuda)", UNKNOWN),
    (f"args.cuda = {AVAILABLE}\nargs.cuda = x\nprobe(args.cuda)", UNKNOWN),
    (f"args.cuda = {AVAILABLE}\ndef h():\n    probe(args.cuda)", FLAG),
    (f"args.cuda = {AVAILABLE}\ndef h(args):\n    probe(args.cuda)", UNKNOWN),
    (f"if x:\n    args.cuda = {AVAILABLE}\nprobe(args.cuda)", FLAG),
    ("args.cuda = x\nprobe(args.cuda)", UNKNOWN),
    # tensors and modules by what is asked of them
    # Another class may have these as well.
    ("x = g()\nx.backward()\nprobe(x)", UNKNOWN),
    ("m = g()\nm.load_state_dict(s)\nprobe(m)", UNKNOWN),
    ("x = g()\nx.backward()\nx.load_state_dict(s)\nprobe(x)", UNKNOWN),
    ("x = torch.zeros(1)\nx = x.cuda()\nx = x.float()\nprobe(x)", TENSOR),
    ("m = torch.nn.Linear(1, 1)\nm = m.cuda()\nprobe(m)", MODULE),
    ("x = torch.zeros(1)\nx = x.item()\nprobe(x)", UNKNOWN),
    ("x = torch.zeros(1)\nfor i in y:\n    x = x.cuda()\n    probe(x)", TENSOR),
    ("a = torch.zeros(1) if x else torch.ones(1)\nprobe(a)", TENSOR),
]  # fmt: skip


@pytest.mark.parametrize(("body", "value"), IN_A_FUNCTION)
def test_names_in_a_function(body: str, value: Value) -> None:
    assert probe(inside(body)).value == value


PARAMETERS = [
    ("f(d)", "probe(d)", UNKNOWN),
    ("f(d='cuda')", "probe(d)", UNKNOWN),
    ("f(d: torch.device)", "probe(d)", Value(Kind.DEVICE)),
    ("f(x: torch.Tensor)", "probe(x)", TENSOR),
    ("f(x: 'torch.Tensor')", "probe(x)", TENSOR),
    ("f(x: torch.Tensor | None = None)", "probe(x)", TENSOR),
    ("f(m: torch.nn.Module)", "probe(m)", MODULE),
    ("f(x: torch.Tensor)", "x = g()\nprobe(x)", UNKNOWN),
    ("f(*d)", "probe(d)", UNKNOWN),
    ("f(**d)", "probe(d)", UNKNOWN),
    ("f(d, /, e, *, k)", "d = 'cuda'\nprobe(d)", CUDA),
]


@pytest.mark.parametrize(("signature", "body", "value"), PARAMETERS)
def test_parameters(signature: str, body: str, value: Value) -> None:
    assert probe(inside(body, signature)).value == value


ACROSS_THE_FILE = [
    ("D = 'cuda'\n\n\ndef f():\n    probe(D)\n", CUDA),
    ("def f():\n    probe(D)\n\n\nD = 'cuda'\n", CUDA),
    ("D = 'cuda'\n\n\ndef f():\n    probe(D)\n\n\nD = 'cpu'\n", TEXT),
    ("D = 'cuda'\nD = torch.device(D)\n\n\ndef f():\n    probe(D)\n", UNKNOWN),
    ("D = 'cuda'\n\n\ndef f():\n    global D\n    D = 'cpu'\n\n\ndef g():\n    probe(D)\n", UNKNOWN),
    ("D = 'cuda'\n\n\ndef f():\n    global D\n    probe(D)\n", UNKNOWN),
    ("D = 'cuda'\n\n\nclass C:\n    def f(self):\n        probe(D)\n", CUDA),
    ("D = 'cuda'\n\n\nclass C:\n    D = 'cpu'\n\n    def f(self):\n        probe(D)\n", CUDA),
    ("D = 'cuda'\n\n\nclass C:\n    D = 'cpu'\n    x = probe(D)\n", CPU),
    ("D = 'cuda'\n\n\nclass C(probe(D)):\n    D = 'cpu'\n", CUDA),
    ("D = 'cuda'\n\n\n@probe(D)\nclass C:\n    pass\n", CUDA),
    (f"if {AVAILABLE}:\n    D = 'cuda'\nelse:\n    D = 'cpu'\n\n\ndef f():\n    probe(D)\n", EITHER),
    (f"D = 'cuda' if {AVAILABLE} else 'cpu'\nprobe(D)\n", EITHER),
    (f"use_cuda = {AVAILABLE}\n\n\ndef f():\n    probe(use_cuda)\n", FLAG),
    (f"args = parse()\nargs.cuda = {AVAILABLE}\n\n\ndef f():\n    probe(args.cuda)\n", FLAG),
    (f"args = parse()\nargs.cuda = {AVAILABLE}\n\n\ndef f(args):\n    probe(args.cuda)\n", UNKNOWN),
    ("if (D := 'cuda'):\n    pass\n\n\ndef f():\n    probe(D)\n", CUDA),
    ("def f():\n    D = 'cuda'\n\n\ndef g():\n    probe(D)\n", UNKNOWN),
    ("import torch.nn as nn\n\n\nclass Net(nn.Module):\n    pass\n\n\nprobe(Net())\n", Value(Kind.MODULE, cls="Net")),
    ("class Thing:\n    pass\n\n\nprobe(Thing())\n", Value(Kind.OBJECT, cls="Thing")),
    ("from base import Base\n\n\nclass Net(Base):\n    pass\n\n\nprobe(Net())\n", UNKNOWN),
    ("class A(torch.nn.Module):\n    pass\n\n\nclass B(A):\n    pass\n\n\nprobe(B())\n", Value(Kind.MODULE, cls="B")),
    ("class A(torch.nn.Module):\n    def cuda(self):\n        return self\n\n\nprobe(A())\n", Value(Kind.OBJECT, cls="A")),
]  # fmt: skip


@pytest.mark.parametrize(("code", "value"), ACROSS_THE_FILE)
def test_names_across_the_file(code: str, value: Value) -> None:
    assert probe(T + code).value == value


ATTRIBUTES = [
    ("self.d = 'cuda'", "self.d", CUDA),
    ("self.d = d", "self.d", UNKNOWN),
    ("d = 'cuda'\nself.d = d", "self.d", CUDA),
    ("self.d = 'cuda'\nself.d = 'cpu'", "self.d", UNKNOWN),
    ("self.d = self.e = 'cuda'", "self.e", CUDA),
    ("self.d, self.e = 'cpu', 'cuda'", "self.e", CUDA),
    ("self.d += 'cuda'", "self.d", UNKNOWN),
    ("self.d: str = 'cuda'", "self.d", CUDA),
    (f"self.use_cuda = {AVAILABLE}", "self.use_cuda", FLAG),
    (f"self.use_cuda = {AVAILABLE} and flag", "self.use_cuda", FLAG),
    (f"use = {AVAILABLE}\nself.d = torch.device('cuda' if use else 'cpu')", "self.d", EITHER_DEVICE),
    (f"self.u = {AVAILABLE}\nself.d = 'cuda' if self.u else 'cpu'", "self.d", EITHER),
    ("self.m = torch.nn.Linear(1, 1)", "self.m", MODULE),
    ("self.m = Net()", "self.m", Value(Kind.MODULE, cls="Net")),
    ("self.m = None\nif flag:\n    self.m = torch.nn.Linear(1, 1)", "self.m", MODULE),
    ("self.m = torch.nn.Linear(1, 1)\nself.m = self.m.eval().cuda()", "self.m", MODULE),
    ("self.m = torch.nn.Linear(1, 1)\nself.m = self.m.other()", "self.m", UNKNOWN),
    ("self.m = torch.ones(1)\nself.m = self.m.tolist()", "self.m", UNKNOWN),
    ("self.m, self.n = torch.ones(2).topk(1)", "self.n", TENSOR),
    ("self.m = [torch.ones(1)]", "self.m[0]", TENSOR),
    ("self.m = [torch.ones(1)]\nself.m.append(d)", "self.m[0]", UNKNOWN),
    ("self.m: torch.Tensor = d", "self.m", TENSOR),
    ("def g():\n    self.d = 'cpu'\nself.d = 'cuda'", "self.d", UNKNOWN),
    ("other.d = 'cuda'", "self.d", UNKNOWN),
    ("for self.d in x:\n    pass", "self.d", UNKNOWN),
    ("if x:\n    self.d = 'cuda'\nelse:\n    self.d = 'cuda'", "self.d", CUDA),
]


@pytest.mark.parametrize(("body", "attribute", "value"), ATTRIBUTES)
def test_attributes(body: str, attribute: str, value: Value) -> None:
    code = (
        T
        + "\n\nclass Net(torch.nn.Module):\n    pass\n\n\nd = 'cuda'\n\n\nclass C:\n    def __init__(self, d, flag=False):\n"
    )
    code += "".join(f"        {line}\n" for line in body.splitlines())
    code += f"\n    def f(self):\n        probe({attribute})\n"
    assert probe(code).value == value


def test_an_attribute_that_the_class_body_binds() -> None:
    assert (
        probe(T + "\n\nclass C:\n    d = 'cuda'\n\n    def f(self):\n        probe(self.d)\n").value == CUDA
    )
    code = (
        T
        + "\n\nclass C:\n    @property\n    def d(self):\n        return 'cuda'\n\n    def f(self):\n        probe(self.d)\n"
    )
    assert probe(code).value == UNKNOWN


NAMES = [
    ("import torch\nprobe(torch.cuda.synchronize)\n", "torch.cuda.synchronize"),
    ("import torch as t\nprobe(t.cuda)\n", "torch.cuda"),
    ("import torch.cuda\nprobe(torch.cuda)\n", "torch.cuda"),
    ("import torch.cuda as c\nprobe(c.synchronize)\n", "torch.cuda.synchronize"),
    ("from torch import cuda\nprobe(cuda.synchronize)\n", "torch.cuda.synchronize"),
    ("from torch.cuda import synchronize as s\nprobe(s)\n", "torch.cuda.synchronize"),
    ("from torch import *\nprobe(torch.cuda)\n", "torch.cuda"),
    ("from .torch import cuda\nprobe(cuda)\n", ".torch.cuda"),
    ("from . import torch\nprobe(torch.cuda)\n", ".torch.cuda"),
    ("probe(torch.cuda)\n", None),
    ("import torch\nc = torch.cuda\nprobe(c.Event)\n", "torch.cuda.Event"),
    ("import torch\nc = torch.cuda\nd = c\nprobe(d.Event)\n", "torch.cuda.Event"),
    ("import torch\nc = torch.cuda\nc = other\nprobe(c.Event)\n", None),
    ("import torch\nc = torch.cuda if x else y\nprobe(c.Event)\n", None),
    ("import torch\ntorch = fake()\nprobe(torch.cuda)\n", None),
    ("torch = fake()\nimport torch\nprobe(torch.cuda)\n", "torch.cuda"),
    ("import torch\ndel torch\nprobe(torch.cuda)\n", None),
    ("try:\n    import torch\nexcept ImportError:\n    torch = None\nprobe(torch.cuda)\n", "torch.cuda"),
    ("torch = None\ntry:\n    import torch\nexcept ImportError:\n    pass\nprobe(torch.cuda)\n", "torch.cuda"),
    ("torch = None\ntry:\n    import torch as t\n    torch = t\nexcept ImportError:\n    pass\nprobe(torch.cuda)\n", "torch.cuda"),
    ("import torch as t\ntorch = None\ntorch = fake(t)\nprobe(torch.cuda)\n", None),
    ("torch = None\nprobe(torch.cuda)\n", None),
    ("if x:\n    import torch\nprobe(torch.cuda)\n", "torch.cuda"),
    ("if x:\n    from torch.cuda import amp\nelse:\n    from mine import amp\nprobe(amp)\n", None),
    ("try:\n    from torch.cuda import amp\nexcept ImportError:\n    from apex import amp\nprobe(amp)\n", None),
    ("import torch\nif x:\n    torch = fake()\nelse:\n    probe(torch.cuda)\n", "torch.cuda"),
    ("import torch\n\n\ndef f(torch):\n    probe(torch.cuda)\n", None),
    ("import torch\n\n\ndef f():\n    torch = fake()\n    probe(torch.cuda)\n", None),
    ("import torch\n\n\ndef f(x):\n    for torch in x:\n        probe(torch.cuda)\n", None),
    ("import torch\n\n\ndef f(x):\n    return [probe(torch.cuda) for torch in x]\n", None),
    ("import torch\n\n\ndef f(x):\n    return lambda torch: probe(torch.cuda)\n", None),
    ("import torch\n\n\nclass C:\n    torch = fake()\n\n    def f(self):\n        probe(torch.cuda)\n", "torch.cuda"),
    ("import torch\n\n\nclass C:\n    torch = fake()\n    x = probe(torch.cuda)\n", None),
    ("def f():\n    import torch\n    probe(torch.cuda)\n", "torch.cuda"),
    ("def f():\n    import torch\n\n\ndef g():\n    probe(torch.cuda)\n", None),
    ("def f():\n    import torch\n\n    def g():\n        probe(torch.cuda)\n", "torch.cuda"),
    ("def f():\n    global torch\n    import torch\n\n\ndef g():\n    probe(torch.cuda)\n", None),
    ("import torch\n\n\ndef f():\n    global torch\n    torch = fake()\n\n\ndef g():\n    probe(torch.cuda)\n", "torch.cuda"),
    ("import torch\n\n\ndef f():\n    probe(torch.cuda)\n    import torch\n", "torch.cuda"),
    ("import torch\nwith fake() as torch:\n    probe(torch.cuda)\n", None),
    ("import torch\nprobe(x.torch.cuda)\n", None),
    ("import torch\nprobe(torch().cuda)\n", None),
    ("import a.b.c\nprobe(a.b.d)\n", "a.b.d"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "name"), NAMES)
def test_qualified_names(code: str, name: str | None) -> None:
    assert probe(code).name == name


MANY_TENSORS = Value(Kind.MANY, parts=(TENSOR,))
MOVABLE = Value(Kind.MOVABLE)
IS_TENSOR = "isinstance(x, torch.Tensor)"
RECEIVERS = [
    # what torch gives
    ("probe(torch.where(c))", UNKNOWN),
    ("probe(torch.where(c, a, b))", TENSOR),
    ("probe(torch.max(x))", TENSOR),
    ("probe(torch.max(x, 1))", UNKNOWN),
    ("probe(torch.max(x, out=y))", UNKNOWN),
    ("probe(torch.meshgrid(x, y)[0])", TENSOR),
    ("probe(torch.fft.rfft(x))", TENSOR),
    ("probe(torch.linalg.svd(x)[0])", TENSOR),
    ("probe(torch.ones(2).type())", UNKNOWN),
    ("probe(torch.ones(2).type(t))", TENSOR),
    ("probe(torch.ones(2).tolist())", UNKNOWN),
    ("probe(torch.ones(2).numpy())", UNKNOWN),
    ("probe(torch.ones(2).size())", UNKNOWN),
    ("probe(torch.ones(2).chunk(2)[0])", TENSOR),
    ("probe(-torch.ones(2))", TENSOR),
    ("probe(torch.ones(2) > 0)", TENSOR),
    ("probe(torch.ones(2) == None)", UNKNOWN),
    ("probe('%s' % torch.ones(2))", UNKNOWN),
    ("probe(f'{x}' + torch.ones(2))", UNKNOWN),
    ("a, b = torch.ones(2).topk(1)\nprobe(b)", TENSOR),
    ("a, *b = torch.ones(2).topk(1)\nprobe(a)", UNKNOWN),
    ("a, b = torch.ones(2), g()\nprobe(a)", TENSOR),
    ("a, b = torch.ones(2), g()\nprobe(b)", UNKNOWN),
    ("p = torch.nn.utils.rnn.pack_padded_sequence(x, y)\nprobe(p)", MOVABLE),
    ("from transformers import AutoModel, AutoTokenizer\nprobe(AutoModel.from_pretrained(n))", MODULE),
    ("from transformers import AutoModel, AutoTokenizer\nprobe(AutoTokenizer.from_pretrained(n))", UNKNOWN),
    ("from transformers import AutoModel\nprobe(AutoModel.from_pretrained(n, output_loading_info=True))", UNKNOWN),
    ("import transformers\nprobe(transformers.BertForMaskedLM(c))", MODULE),
    ("import transformers\nprobe(transformers.TFBertForMaskedLM(c))", UNKNOWN),
    ("import transformers\nprobe(transformers.DataCollatorForLanguageModeling(c))", UNKNOWN),
    ("import torchvision\nprobe(torchvision.models.resnet18())", MODULE),
    ("import torchvision\nprobe(torchvision.models.ResNet18_Weights(c))", UNKNOWN),
    ("import torchvision\nprobe(torchvision.models.list_models())", UNKNOWN),
    ("import timm\nprobe(timm.create_model(n).eval())", MODULE),
    # loops and containers
    ("m = torch.nn.Linear(1, 1)\nfor p in m.parameters():\n    probe(p)", TENSOR),
    ("m = torch.nn.Linear(1, 1)\nfor n, p in m.named_parameters():\n    probe(p)", TENSOR),
    ("m = torch.nn.Linear(1, 1)\nfor n, p in m.named_parameters():\n    probe(n)", UNKNOWN),
    ("m = torch.nn.Linear(1, 1)\nfor c in m.children():\n    probe(c)", MODULE),
    ("m = torch.nn.Linear(1, 1)\nfor t in m.state_dict().values():\n    probe(t)", TENSOR),
    ("m = torch.nn.Linear(1, 1)\nfor k, t in m.state_dict().items():\n    probe(t)", TENSOR),
    ("m = torch.nn.Sequential(a, b)\nprobe(m[0])", MODULE),
    ("m = torch.nn.Linear(1, 1)\nprobe(m[0])", UNKNOWN),
    ("for p in g().parameters():\n    probe(p)", UNKNOWN),
    ("ts = [torch.ones(1), torch.zeros(1)]\nfor t in ts:\n    probe(t)", TENSOR),
    ("ts = [torch.ones(1), 'a']\nfor t in ts:\n    probe(t)", UNKNOWN),
    ("ts = [torch.ones(1)]\nts.append(g())\nfor t in ts:\n    probe(t)", UNKNOWN),
    ("ts = [torch.ones(1)]\nts[0] = g()\nprobe(ts[0])", UNKNOWN),
    ("ts = {'a': torch.ones(1)}\nts.update(g())\nprobe(ts['a'])", UNKNOWN),
    ("ts = {'a': torch.ones(1)}\nprobe(ts['a'])", TENSOR),
    ("ts = {'a': torch.ones(1)}\nprobe(ts.get('a'))", TENSOR),
    ("ts = {**g(), 'a': torch.ones(1)}\nprobe(ts['a'])", UNKNOWN),
    ("ts = torch.ones(1), g()\nprobe(ts[0])", TENSOR),
    ("ts = torch.ones(1), g()\nprobe(ts[-1])", UNKNOWN),
    ("ts = torch.ones(1), g()\nprobe(ts[i])", UNKNOWN),
    ("for i, t in enumerate([torch.ones(1)]):\n    probe(t)", TENSOR),
    ("for i, t in enumerate([torch.ones(1)]):\n    probe(i)", UNKNOWN),
    ("for a, b in zip([torch.ones(1)], g()):\n    probe(a)", TENSOR),
    ("for a, b in zip([torch.ones(1)], g()):\n    probe(b)", UNKNOWN),
    ("zip = g\nfor a, b in zip([torch.ones(1)], [1]):\n    probe(a)", UNKNOWN),
    ("for t in torch.ones(2):\n    t = g()\n    probe(t)", UNKNOWN),
    ("[probe(t) for t in [torch.ones(1)]]", TENSOR),
    ("ts = [t + 1 for t in torch.ones(2)]\nprobe(ts)", MANY_TENSORS),
    ("{k: probe(v) for k, v in {'a': torch.ones(1)}.items()}", TENSOR),
    ("[probe(b) for a in [[torch.ones(1)]] for b in a]", TENSOR),
    ("list(map(lambda t: probe(t), [torch.ones(1)]))", TENSOR),
    ("list(map(lambda t: probe(t), g()))", UNKNOWN),
    ("h(lambda t: probe(t))", UNKNOWN),
    ("torch.nn.Linear(1, 1).apply(lambda m: probe(m))", MODULE),
    ("a = [torch.ones(1)] if c else None\nprobe(a[0])", TENSOR),
    ("m = torch.ones(1) if c else torch.nn.Linear(1, 1)\nprobe(m)", MOVABLE),
    ("m = None\nif c:\n    m = torch.nn.Linear(1, 1)\nprobe(m)", MODULE),
    # what tests tell
    (f"x = g()\nif {IS_TENSOR}:\n    probe(x)", TENSOR),
    (f"x = g()\nif {IS_TENSOR} and y:\n    probe(x)", TENSOR),
    (f"x = g()\nif {IS_TENSOR} or y:\n    probe(x)", UNKNOWN),
    (f"x = g()\nif not {IS_TENSOR}:\n    probe(x)", UNKNOWN),
    (f"x = g()\nif not {IS_TENSOR}:\n    pass\nelse:\n    probe(x)", TENSOR),
    (f"x = g()\nif not {IS_TENSOR}:\n    return x\nprobe(x)", TENSOR),
    (f"x = g()\nif not {IS_TENSOR} or y:\n    return x\nprobe(x)", TENSOR),
    (f"x = g()\nif not {IS_TENSOR} and y:\n    return x\nprobe(x)", UNKNOWN),
    (f"x = g()\nassert {IS_TENSOR}\nprobe(x)", TENSOR),
    (f"x = g()\nassert {IS_TENSOR}\nx = g()\nprobe(x)", UNKNOWN),
    (f"x = g()\nif {IS_TENSOR}:\n    x = g()\n    probe(x)", UNKNOWN),
    (f"x = g()\nif {IS_TENSOR}:\n    for i in y:\n        probe(x)\n        x = g()", UNKNOWN),
    (f"x = g()\nif {IS_TENSOR}:\n    with h() as x:\n        probe(x)", UNKNOWN),
    (f"x = g()\nif {IS_TENSOR}:\n    def inner():\n        probe(x)", UNKNOWN),
    (f"x = g()\nif y:\n    pass\nelif {IS_TENSOR}:\n    probe(x)", TENSOR),
    (f"x = g()\ny = probe(x) if {IS_TENSOR} else x", TENSOR),
    (f"x = g()\ny = {IS_TENSOR} and probe(x)", TENSOR),
    (f"x = g()\nz = g()\nif {IS_TENSOR}:\n    probe(z)", UNKNOWN),
    ("x = g()\nif torch.is_tensor(x):\n    probe(x)", TENSOR),
    ("x = g()\nif type(x) is torch.Tensor:\n    probe(x)", TENSOR),
    ("x = g()\nif isinstance(x, (torch.Tensor, torch.nn.Module)):\n    probe(x)", MOVABLE),
    ("x = g()\nif isinstance(x, (torch.Tensor, list)):\n    probe(x)", UNKNOWN),
    ("x = g()\nif isinstance(x, torch.nn.Module):\n    probe(x.eval())", MODULE),
    ("b = g()\nif isinstance(b[k], torch.Tensor):\n    probe(b[k])", TENSOR),
    ("b = g()\nif isinstance(b[k], torch.Tensor):\n    k = h()\n    probe(b[k])", UNKNOWN),
    ("b = g()\nif isinstance(b[k], torch.Tensor):\n    b.refresh()\n    probe(b[k])", UNKNOWN),
    ("b = g()\nif isinstance(b[k()], torch.Tensor):\n    probe(b[k()])", UNKNOWN),
    ("[probe(x) for x in g() if isinstance(x, torch.Tensor)]", TENSOR),
    ("{k: probe(v) if isinstance(v, torch.Tensor) else v for k, v in g()}", TENSOR),
    ("{k: v if isinstance(v, torch.Tensor) else probe(v) for k, v in g()}", UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize(("body", "value"), RECEIVERS)
def test_what_can_be_moved(body: str, value: Value) -> None:
    assert probe(inside(body)).value == value


ANNOTATED = [
    ("x: Optional[torch.Tensor]", "probe(x)", TENSOR),
    ("x: torch.Tensor | None", "probe(x)", TENSOR),
    ("x: torch.Tensor | str", "probe(x)", UNKNOWN),
    ("x: Union[torch.Tensor, torch.nn.Module]", "probe(x)", MOVABLE),
    ("x: list[torch.Tensor]", "probe(x[0])", TENSOR),
    ("x: list[torch.Tensor]", "x.append(y)\nprobe(x[0])", TENSOR),
    ("x: List[torch.Tensor]", "for t in x:\n    probe(t)", TENSOR),
    ("x: List[torch.Tensor]", "probe([t for t in reversed(x)][0])", TENSOR),
    ("x: tuple[torch.Tensor, int]", "probe(x[0])", TENSOR),
    ("x: tuple[torch.Tensor, int]", "probe(x[1])", UNKNOWN),
    ("x: tuple[torch.Tensor, ...]", "probe(x[1])", TENSOR),
    ("x: dict[str, torch.Tensor]", "probe(x['a'])", TENSOR),
    ("x: dict[str, torch.Tensor]", "for k in x:\n    probe(k)", UNKNOWN),
    ("x: dict[str, torch.Tensor]", "for k, v in x.items():\n    probe(v)", TENSOR),
    ("x: dict[torch.Tensor, str]", "probe(x['a'])", UNKNOWN),
    ("x: Optional[list[torch.Tensor]]", "probe(x[0])", TENSOR),
    ("x: Callable[[torch.Tensor], int]", "probe(x)", UNKNOWN),
    ("x: type[torch.Tensor]", "probe(x)", UNKNOWN),
]


@pytest.mark.parametrize(("parameter", "body", "value"), ANNOTATED)
def test_what_annotations_tell(parameter: str, body: str, value: Value) -> None:
    assert probe(inside(body, f"f({parameter})")).value == value


OWN_FUNCTIONS = [
    ("def make(n) -> torch.Tensor:\n    return g()\n\n\nprobe(make(1))\n", TENSOR),
    ("def make(n):\n    if n:\n        return torch.ones(n)\n    return torch.zeros(1)\n\n\nprobe(make(1))\n", TENSOR),
    ("def make(n):\n    x = torch.ones(n)\n    return x, n\n\n\na, b = make(1)\nprobe(a)\n", TENSOR),
    ("def make(n):\n    if n:\n        return torch.ones(n)\n    return g()\n\n\nprobe(make(1))\n", UNKNOWN),
    ("def make(n):\n    yield torch.ones(n)\n    return torch.ones(1)\n\n\nprobe(make(1))\n", UNKNOWN),
    ("async def make(n):\n    return torch.ones(n)\n\n\nprobe(make(1))\n", UNKNOWN),
    ("@wrap\ndef make(n):\n    return torch.ones(n)\n\n\nprobe(make(1))\n", UNKNOWN),
    ("@torch.no_grad()\ndef make(n):\n    return torch.ones(n)\n\n\nprobe(make(1))\n", TENSOR),
    ("def make(n):\n    return torch.ones(n)\n\n\nmake = g(make)\nprobe(make(1))\n", UNKNOWN),
    ("def make(n):\n    return make(n)\n\n\nprobe(make(1))\n", UNKNOWN),
    ("def make(n):\n    def inner():\n        return 1\n\n    return torch.ones(n)\n\n\nprobe(make(1))\n", TENSOR),
    ("def make(n):\n    pass\n\n\nprobe(make(1))\n", UNKNOWN),
    ("class Own(torch.nn.Module):\n    def cuda(self):\n        return self\n\n\ndef f(m: torch.nn.Module):\n    probe(m)\n", UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize(("code", "value"), OWN_FUNCTIONS)
def test_what_functions_of_the_file_give(code: str, value: Value) -> None:
    assert probe(T + "\n\n" + code).value == value


NET = "class Net(torch.nn.Module):\n    pass\n\n\n"
NET_VALUE = Value(Kind.MODULE, cls="Net")
BATCH = Value(Kind.BATCH)
DATA = "from torch.utils.data import DataLoader\n"

OF_THE_PROJECT = [
    # methods of classes
    ("class T:\n    def make(self):\n        return torch.ones(1)\n    def f(self):\n        probe(self.make())\n", TENSOR),
    ("class T:\n    def make(self):\n        return g()\n    def f(self):\n        probe(self.make())\n", UNKNOWN),
    ("class T:\n    @property\n    def make(self):\n        return torch.ones(1)\n    def f(self):\n        probe(self.make())\n", UNKNOWN),
    ("class T:\n    @wrapped\n    def make(self):\n        return torch.ones(1)\n    def f(self):\n        probe(self.make())\n", UNKNOWN),
    (NET + "class T:\n    @classmethod\n    def make(cls):\n        return Net()\n\n\nprobe(T.make())\n", NET_VALUE),
    (NET + "class T:\n    @staticmethod\n    def make():\n        return Net()\n\n\nprobe(T().make())\n", NET_VALUE),
    ("class Net(torch.nn.Module):\n    @classmethod\n    def load(cls, path):\n        return cls()\n\n\nprobe(Net.load(1))\n", NET_VALUE),
    # what they inherit
    ("class A:\n    def __init__(self):\n        self.x = torch.ones(1)\n\n\nclass B(A):\n    def f(self):\n        probe(self.x)\n", TENSOR),
    ("class A:\n    def make(self):\n        return torch.ones(1)\n\n\nclass B(A):\n    def f(self):\n        probe(self.make())\n", TENSOR),
    ("class A:\n    def make(self):\n        return torch.ones(1)\n\n\nclass B(A):\n    def make(self):\n        return g()\n    def f(self):\n        probe(self.make())\n", UNKNOWN),
    # the object itself: what isn't a module may be mixed into one
    ("class Net(torch.nn.Module):\n    def f(self):\n        probe(self)\n", NET_VALUE),
    ("class Mixin:\n    def f(self):\n        probe(self)\n", UNKNOWN),
    ("class Net(torch.nn.Module):\n    def cuda(self):\n        return self\n    def f(self):\n        probe(self)\n", UNKNOWN),
    # functions in functions
    ("def f():\n    def make():\n        return torch.ones(1)\n    probe(make())\n", TENSOR),
    ("def f():\n    @wrapped\n    def make():\n        return torch.ones(1)\n    probe(make())\n", UNKNOWN),
    # what libraries make of what they are given
    ("import copy\nprobe(copy.deepcopy(torch.nn.Linear(1, 1)))\n", MODULE),
    ("import copy\nprobe(copy.deepcopy(x))\n", UNKNOWN),
    ("probe(torch.compile(torch.nn.Linear(1, 1)))\n", MODULE),
    ("from torchvision import models\nprobe(getattr(models, name)(pretrained=True))\n", MODULE),
    ("from torchvision import models\nprobe(models.__dict__[name]())\n", MODULE),
    ("import models\nprobe(getattr(models, name)())\n", UNKNOWN),
    # batches
    (DATA + "for x in DataLoader(d):\n    probe(x)\n", BATCH),
    (DATA + "for x, y in DataLoader(d, 4, shuffle=True):\n    probe(y)\n", BATCH),
    (DATA + "for x in DataLoader(d):\n    probe(x['image'])\n", BATCH),
    (DATA + "from tqdm import tqdm\nfor i, x in enumerate(tqdm(DataLoader(d))):\n    probe(x)\n", BATCH),
    (DATA + "for x in DataLoader(d, collate_fn=own):\n    probe(x)\n", UNKNOWN),
    (DATA + "for x in DataLoader(d, batch_size=None):\n    probe(x)\n", UNKNOWN),
    (DATA + "for x in DataLoader(d, **more):\n    probe(x)\n", UNKNOWN),
    (DATA + "for x in DataLoader(d):\n    probe(x.dim())\n", UNKNOWN),
    (DATA + "for x in DataLoader(d):\n    probe(x.unsqueeze(0))\n", TENSOR),
]  # fmt: skip


@pytest.mark.parametrize(("code", "value"), OF_THE_PROJECT)
def test_what_classes_and_libraries_give(code: str, value: Value) -> None:
    assert probe(T + code).value == value


@pytest.mark.parametrize("method", ["cuda", "to"])
@pytest.mark.parametrize(
    "use",
    [
        "probe(Own())",
        "def f(x: Own):\n    probe(x)",
        "x = Own()\nprobe(x)",
        "x = Own()\nx.backward()\nprobe(x)",
        "def make():\n    return Own()\nprobe(make())",
        "class T:\n    def __init__(self):\n        self.x = Own()\n    def f(self):\n        probe(self.x)",
        "import copy\nprobe(copy.deepcopy(Own()))",
        "for x in [Own(), Own()]:\n    probe(x)",
        "class Sub(Own):\n    pass\nprobe(Sub())",
        "probe(Own.make())",
        "probe(Own().cuda())",
    ],
)
def test_a_class_that_moves_itself_is_never_taken_for_torchs(method: str, use: str) -> None:
    for base in ("torch.nn.Module", "object", "torch.Tensor"):
        own = f"class Own({base}):\n    def {method}(self, *a):\n        return self\n    @classmethod\n    def make(cls):\n        return cls()\n\n\n"
        assert probe(T + own + use + "\n").value.kind in (Kind.UNKNOWN, Kind.OBJECT)


def test_a_name_that_is_rebound_through_itself_ends() -> None:
    lines = "".join(f"    x = x + x.a{i}(x, x)\n" for i in range(40))
    assert probe(f"def f(x):\n{lines}    probe(x)\n").value == UNKNOWN


def test_each_place_sees_what_reaches_it() -> None:
    found = probes(
        inside("d = 'cuda'\nprobe(d)\nd = 'cpu'\nprobe(d)\nif x:\n    d = 'cuda'\n    probe(d)\nprobe(d)")
    )
    assert [p.value for p in found] == [CUDA, CPU, CUDA, TEXT]

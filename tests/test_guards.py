"""What keeps a tie from running without CUDA: a table of small programs, each with one `probe(x)`."""

from __future__ import annotations

import pytest
from probes import probe

from uncuda.guards import Guard

A = "torch.cuda.is_available()"
ANY = "torch.accelerator.is_available()"
T = "import torch\nimport pytest, unittest, sys\nimport contextlib\nfrom contextlib import suppress\n"

IN_A_FUNCTION = [
    ("probe(1)", Guard.NONE),
    (f"if {A}:\n    probe(1)", Guard.CUDA),
    (f"if {ANY}:\n    probe(1)", Guard.ACCELERATOR),
    (f"if {A} and x:\n    probe(1)", Guard.CUDA),
    (f"if {A} or x:\n    probe(1)", Guard.NONE),
    (f"if not {A}:\n    probe(1)", Guard.NONE),
    (f"if not {A}:\n    pass\nelse:\n    probe(1)", Guard.CUDA),
    (f"if not {A} or x:\n    pass\nelse:\n    probe(1)", Guard.CUDA),
    (f"if {A}:\n    pass\nelse:\n    probe(1)", Guard.NONE),
    (f"if x:\n    pass\nelif {A}:\n    probe(1)", Guard.CUDA),
    (f"if not {A}:\n    pass\nelif x:\n    probe(1)", Guard.CUDA),
    (f"if {A}:\n    while x:\n        with y:\n            probe(1)", Guard.CUDA),
    (f"while {A}:\n    probe(1)", Guard.CUDA),
    (f"probe(1) if {A} else None", Guard.CUDA),
    (f"None if {A} else probe(1)", Guard.NONE),
    (f"None if not {A} else probe(1)", Guard.CUDA),
    (f"{A} and probe(1)", Guard.CUDA),
    (f"not {A} or probe(1)", Guard.CUDA),
    (f"{A} or probe(1)", Guard.NONE),
    (f"probe(1) and {A}", Guard.NONE),
    (f"use = {A}\nif use:\n    probe(1)", Guard.CUDA),
    (f"use = {A} and not args.no_cuda\nif use:\n    probe(1)", Guard.CUDA),
    (f"args.cuda = {A}\nif args.cuda:\n    probe(1)", Guard.CUDA),
    (f"if (use := {A}):\n    probe(1)", Guard.CUDA),
    (f"use = {A}\nuse = x\nif use:\n    probe(1)", Guard.NONE),
    ("if x.device.type == 'cuda':\n    probe(1)", Guard.CUDA),
    ("if x.device.type != 'cuda':\n    return\nprobe(1)", Guard.CUDA),
    ("if x.device.type == 'cpu':\n    return\nprobe(1)", Guard.ACCELERATOR),
    ("if x.device.type != 'cpu':\n    probe(1)", Guard.ACCELERATOR),
    ("if x.device != 'cpu':\n    probe(1)", Guard.NONE),
    ("if x.is_cuda:\n    probe(1)", Guard.CUDA),
    ("if torch.cuda.device_count():\n    probe(1)", Guard.CUDA),
    ("n = torch.cuda.device_count()\nif n < 2:\n    return\nprobe(1)", Guard.CUDA),
    ("if torch.cuda.device_count() >= 0:\n    probe(1)", Guard.NONE),
    ("match x.device.type:\n    case 'cuda':\n        probe(1)", Guard.CUDA),
    ("match x.device.type:\n    case 'cuda' if y:\n        probe(1)", Guard.NONE),
    ("match x.device.type:\n    case 'cpu':\n        probe(1)", Guard.NONE),
    # exits
    (f"if not {A}:\n    return\nprobe(1)", Guard.CUDA),
    (f"if not {A}:\n    raise RuntimeError\nprobe(1)", Guard.CUDA),
    (f"if not {A}:\n    sys.exit(1)\nprobe(1)", Guard.CUDA),
    (f"if not {A}:\n    pytest.skip('no')\nprobe(1)", Guard.CUDA),
    (f"if not {A}:\n    print('slow')\nprobe(1)", Guard.NONE),
    (f"if {A}:\n    print('fast')\nelse:\n    return\nprobe(1)", Guard.CUDA),
    (f"if {A}:\n    return\nprobe(1)", Guard.NONE),
    (f"probe(1)\nif not {A}:\n    return", Guard.NONE),
    (f"if x:\n    if not {A}:\n        return\nprobe(1)", Guard.NONE),
    (f"for i in x:\n    if not {A}:\n        continue\n    probe(1)", Guard.CUDA),
    (f"assert {A}\nprobe(1)", Guard.CUDA),
    (f"assert {A}, 'no GPU'\nif x:\n    probe(1)", Guard.CUDA),
    # handled
    ("try:\n    probe(1)\nexcept Exception:\n    pass", Guard.TRY),
    ("try:\n    probe(1)\nexcept:\n    pass", Guard.TRY),
    ("try:\n    probe(1)\nexcept (ImportError, RuntimeError):\n    pass", Guard.TRY),
    ("try:\n    probe(1)\nexcept KeyError:\n    pass", Guard.NONE),
    ("try:\n    probe(1)\nexcept Exception:\n    raise", Guard.NONE),
    ("try:\n    probe(1)\nfinally:\n    pass", Guard.NONE),
    ("try:\n    pass\nexcept Exception:\n    probe(1)", Guard.NONE),
    ("try:\n    def g():\n        probe(1)\nexcept Exception:\n    pass", Guard.NONE),
    (f"if {A}:\n    try:\n        probe(1)\n    except Exception:\n        pass", Guard.CUDA),
    ("with suppress(Exception):\n    probe(1)", Guard.TRY),
    ("with contextlib.suppress(KeyError):\n    probe(1)", Guard.NONE),
    ("with suppress(RuntimeError):\n    def g():\n        probe(1)", Guard.NONE),
    # a function made under a guard
    (f"if {A}:\n    def g():\n        probe(1)", Guard.CUDA),
    (f"if {A}:\n    g = lambda: probe(1)", Guard.CUDA),
    (f"if not {A}:\n    return\ndef g():\n    probe(1)", Guard.CUDA),
]


@pytest.mark.parametrize(("body", "guard"), IN_A_FUNCTION)
def test_in_a_function(body: str, guard: Guard) -> None:
    code = T + "\n\ndef f(x):\n" + "".join(f"    {line}\n" for line in body.splitlines())
    assert probe(code).guard is guard


AT_THE_TOP = [
    (f"if {A}:\n    probe(1)\n", Guard.CUDA),
    (f"if not {A}:\n    sys.exit()\nprobe(1)\n", Guard.CUDA),
    (f"if not {A}:\n    sys.exit()\n\n\ndef f():\n    probe(1)\n", Guard.CUDA),
    (f"if not {A}:\n    pytest.skip('', allow_module_level=True)\n\n\nclass C:\n    def f(self):\n        probe(1)\n", Guard.CUDA),
    (f"def f():\n    probe(1)\n\n\nif not {A}:\n    sys.exit()\n", Guard.NONE),
    (f"if {A}:\n    pass\nelse:\n    raise SystemExit\n\n\ndef f():\n    probe(1)\n", Guard.CUDA),
    (f"assert {A}\n\n\ndef f():\n    probe(1)\n", Guard.CUDA),
    (f"if x:\n    if not {A}:\n        sys.exit()\n\n\ndef f():\n    probe(1)\n", Guard.NONE),
    (f"USE = {A}\n\n\ndef f():\n    if USE:\n        probe(1)\n", Guard.CUDA),
    (f"@pytest.mark.skipif(not {A}, reason='')\ndef test():\n    probe(1)\n", Guard.SKIPPED_TEST),
    (f"@pytest.mark.skipif({A}, reason='')\ndef test():\n    probe(1)\n", Guard.NONE),
    (f"@pytest.mark.skipif(condition=not {A}, reason='')\ndef test():\n    probe(1)\n", Guard.SKIPPED_TEST),
    (f"@unittest.skipUnless({A}, '')\ndef test():\n    probe(1)\n", Guard.SKIPPED_TEST),
    (f"@unittest.skipIf(not {A}, '')\ndef test():\n    probe(1)\n", Guard.SKIPPED_TEST),
    (f"NO = not {A}\n\n\n@unittest.skipIf(NO, '')\ndef test():\n    probe(1)\n", Guard.SKIPPED_TEST),
    ("@require_torch_gpu\ndef test():\n    probe(1)\n", Guard.SKIPPED_TEST),
    (f"@unittest.skipUnless({A}, probe(1))\ndef test():\n    pass\n", Guard.NONE),
    (f"@unittest.skipUnless({A}, '')\nclass C:\n    def test(self):\n        probe(1)\n", Guard.SKIPPED_TEST),
    (f"@unittest.skipUnless({A}, '')\nclass C:\n    x = probe(1)\n", Guard.SKIPPED_TEST),
    (f"class C:\n    @unittest.skipUnless({A}, '')\n    def test(self):\n        probe(1)\n", Guard.SKIPPED_TEST),
    (f"class C:\n    @unittest.skipUnless({A}, '')\n    class D:\n        def test(self):\n            probe(1)\n", Guard.SKIPPED_TEST),
    (f"pytestmark = pytest.mark.skipif(not {A}, reason='')\n\n\ndef test():\n    probe(1)\n", Guard.SKIPPED_TEST),
    (f"pytestmark = [pytest.mark.slow, pytest.mark.skipif(not {A}, reason='')]\n\n\ndef test():\n    probe(1)\n", Guard.SKIPPED_TEST),
    ("pytestmark = pytest.mark.slow\n\n\ndef test():\n    probe(1)\n", Guard.NONE),
    (f"class C:\n    def __init__(self):\n        self.u = {A}\n\n    def f(self):\n        if self.u:\n            probe(1)\n", Guard.CUDA),
    (f"class C:\n    def __init__(self, x):\n        self.u = x and {A}\n\n    def f(self):\n        if not self.u:\n            return\n        probe(1)\n", Guard.CUDA),
    ("try:\n    probe(1)\nexcept ImportError:\n    pass\n", Guard.TRY),
]  # fmt: skip


@pytest.mark.parametrize(("code", "guard"), AT_THE_TOP)
def test_at_the_top(code: str, guard: Guard) -> None:
    assert probe(T + code).guard is guard

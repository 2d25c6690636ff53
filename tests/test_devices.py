"""Where fixes take their device from, and where a new one is bound."""

from __future__ import annotations

import ast
import textwrap

import pytest

from uncuda.engine import Options, fix_text

LONG = 'torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")'
SHORT = "torch.accelerator.current_accelerator()"
HELPER = f"def _get_device():\n    return {LONG}\n\n"
"""What stands above the first of several functions that want a device."""
CODES = frozenset({"UC101", "UC102", "UC103", "UC104", "UC105", "UC106", "UC107"})


def fixed(before: str, *, unsafe: bool = True) -> str:
    text = textwrap.dedent(before).lstrip("\n")
    options = Options(codes=CODES)
    result = fix_text(text, options, unsafe=unsafe)
    assert result.error is None
    ast.parse(result.text)
    assert fix_text(result.text, options, unsafe=unsafe).text == result.text
    whole = fix_text(text, Options(codes=CODES, whole_file=True), unsafe=unsafe)
    assert whole.text == result.text
    return result.text


def check(before: str, after: str, *, unsafe: bool = True) -> None:
    want = textwrap.dedent(after).lstrip("\n").replace("HELPER\n", HELPER)
    want = want.replace("LONG", LONG).replace("SHORT", SHORT)
    assert fixed(before, unsafe=unsafe) == want


def test_one_device_for_a_function_before_its_first_use() -> None:
    check(
        """
        import torch

        def f(a, b):
            log(a)
            a = a.cuda()
            b = b.cuda()
            return a, b
        """,
        """
        import torch

        def f(a, b):
            log(a)
            device = LONG
            a = a.to(device)
            b = b.to(device)
            return a, b
        """,
    )


def test_bound_in_the_innermost_suite_that_holds_all_uses() -> None:
    check(
        """
        import torch

        def f(net, opt):
            if opt.a:
                net.share()
                if opt.b:
                    net = net.cuda()
                else:
                    net = net.half().cuda()
            return net
        """,
        """
        import torch

        def f(net, opt):
            if opt.a:
                net.share()
                device = LONG
                if opt.b:
                    net = net.to(device)
                else:
                    net = net.half().to(device)
            return net
        """,
    )


def test_bound_outside_of_loops_with_and_try() -> None:
    check(
        """
        import torch

        def f(nets, loader, flag):
            # The nets, one by one.
            for net in nets:
                if flag:
                    net.cuda()
            with torch.no_grad():
                try:
                    y = loader.next().cuda()
                except StopIteration:
                    y = None
            return y

        def g(x):
            with torch.no_grad():
                x = x.cuda()
            return x
        """,
        """
        import torch


        HELPER

        def f(nets, loader, flag):
            device = _get_device()
            # The nets, one by one.
            for net in nets:
                if flag:
                    net.to(device)
            with torch.no_grad():
                try:
                    y = loader.next().to(device)
                except StopIteration:
                    y = None
            return y

        def g(x):
            device = _get_device()
            with torch.no_grad():
                x = x.to(device)
            return x
        """,
    )


@pytest.mark.parametrize("test", ["torch.cuda.is_available()", "use and torch.cuda.is_available()", "here"])
def test_short_where_availability_was_tested(test: str) -> None:
    check(
        f"""
        import torch

        here = torch.cuda.is_available()

        def f(x, use=True):
            if {test}:
                x = x.cuda()
            return x
        """,
        f"""
        import torch

        here = torch.cuda.is_available()

        def f(x, use=True):
            if {test}:
                device = SHORT
                x = x.to(device)
            return x
        """,
    )


def test_short_after_an_early_return() -> None:
    check(
        """
        import torch

        def f(x):
            if not torch.cuda.is_available():
                return x
            return x.cuda()
        """,
        """
        import torch

        def f(x):
            if not torch.cuda.is_available():
                return x
            device = SHORT
            return x.to(device)
        """,
    )


@pytest.mark.parametrize(
    ("mark", "short"),
    [
        ("pytest.mark.skipif(not torch.cuda.is_available(), reason='CUDA')", True),
        ("pytest.mark.skipif(OLD or not torch.cuda.is_available(), reason='CUDA')", True),
        ("pytest.mark.skipif(OLD and not torch.cuda.is_available(), reason='CUDA')", False),
        ("pytest.mark.skipif(torch.cuda.is_available(), reason='CPU')", False),
        ("unittest.skipUnless(torch.cuda.is_available() and OLD, 'CUDA')", True),
        ("unittest.skipUnless(torch.cuda.is_available() or OLD, 'CUDA')", False),
        ("unittest.skipIf(not torch.cuda.is_available(), 'CUDA')", True),
        ("skipif(not torch.cuda.is_available())", False),
    ],
)
def test_short_in_a_test_that_is_skipped_elsewhere(mark: str, short: bool) -> None:
    check(
        f"""
        import unittest
        import pytest
        import torch
        from here import OLD, skipif

        @{mark}
        def test_it():
            x = torch.ones(2).cuda()
            assert x.sum() == 2
        """,
        f"""
        import unittest
        import pytest
        import torch
        from here import OLD, skipif

        @{mark}
        def test_it():
            device = {"SHORT" if short else "LONG"}
            x = torch.ones(2).to(device)
            assert x.sum() == 2
        """,
    )


def test_a_flag_that_only_says_so_is_no_proof() -> None:
    check(
        """
        import torch

        def f(x, args):
            if args.cuda:
                x = x.cuda()
            return x
        """,
        """
        import torch

        def f(x, args):
            if args.cuda:
                device = LONG
                x = x.to(device)
            return x
        """,
    )


def test_inner_functions_use_the_device_of_the_outer_one() -> None:
    check(
        """
        import torch

        def f(x):
            y = x.cuda()
            def g(z):
                return z.cuda() + y
            return g
        """,
        """
        import torch

        def f(x):
            device = LONG
            y = x.to(device)
            def g(z):
                return z.to(device) + y
            return g
        """,
    )


def test_inner_functions_alone_bind_their_own() -> None:
    check(
        """
        import torch

        def f():
            def g(z):
                return z.cuda()
            def h(z):
                return z.cuda()
            return g, h
        """,
        """
        import torch


        HELPER

        def f():
            def g(z):
                device = _get_device()
                return z.to(device)
            def h(z):
                device = _get_device()
                return z.to(device)
            return g, h
        """,
    )


def test_a_class_that_moves_in_init_and_elsewhere_keeps_the_device() -> None:
    check(
        """
        import torch

        class Reader(object):
            def __init__(self, path):
                \"\"\"Reads.\"\"\"
                # What was trained.
                self.model = torch.load(path).cuda()

            def read(self, x):
                with torch.no_grad():
                    return self.model(torch.from_numpy(x).cuda())

            @staticmethod
            def other(x):
                return x.cuda()
        """,
        """
        import torch


        HELPER

        class Reader(object):
            def __init__(self, path):
                \"\"\"Reads.\"\"\"
                self.device = _get_device()
                # What was trained.
                self.model = torch.load(path).to(self.device)

            def read(self, x):
                with torch.no_grad():
                    return self.model(torch.from_numpy(x).to(self.device))

            @staticmethod
            def other(x):
                device = _get_device()
                return x.to(device)
        """,
    )


def test_a_module_keeps_it_after_the_base_class_is_ready() -> None:
    check(
        """
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.mask = torch.ones(2).cuda()

            def forward(self, x):
                return x + torch.zeros(2).cuda()
        """,
        """
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.device = LONG
                self.mask = torch.ones(2).to(self.device)

            def forward(self, x):
                return x + torch.zeros(2).to(self.device)
        """,
        unsafe=False,
    )


@pytest.mark.parametrize("base", ["LightningModule", "Base"])
def test_a_base_class_may_know_the_name(base: str) -> None:
    after = fixed(
        f"""
        import torch
        from lib import {base}

        class Net({base}):
            def __init__(self):
                self.mask = torch.ones(2).cuda()

            def forward(self, x):
                return x + torch.zeros(2).cuda()
        """
    )
    assert "self.device" not in after
    assert after.count("device = _get_device()") == 2


@pytest.mark.parametrize(
    ("name", "inside", "below"),
    [
        ("Base", "", "class Model(Base, LightningModule):\n    pass\n"),
        (
            "Base",
            "",
            "class Model(Base):\n    @property\n    def device(self):\n        return self.x.device\n",
        ),
        ("MoveMixin", "", ""),
        ("Base", "        super().__init__()\n", ""),
    ],
)
def test_a_class_beside_or_below_may_know_the_name(name: str, inside: str, below: str) -> None:
    text = (
        f"import torch\n\n\nclass {name}:\n    def __init__(self):\n{inside}        self.x = torch.ones(1).cuda()\n\n"
        f"    def step(self, y: torch.Tensor):\n        return y.cuda() + self.x\n\n\n{below}"
    )
    assert "self.device" not in fixed(text)


def test_a_device_in_scope_is_used() -> None:
    check(
        """
        import torch

        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

        def f(x):
            return x.cuda()
        """,
        """
        import torch

        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

        def f(x):
            return x.cuda()
        """.replace("x.cuda()", "x.to(device)"),
    )


@pytest.mark.parametrize(
    ("signature", "device"),
    [("x, y, device", "device"), ("x, y, args", "args.device"), ("self, x, y", "self.device")],
)
def test_what_the_function_takes_for_a_device_is_used_and_unsafe(signature: str, device: str) -> None:
    text = (
        "import torch\n\n\nclass A(Base):\n    def __init__(self, device):\n        self.device = device\n\n"
        f"    def f({signature}):\n        x = x.to({device})\n        return x + y.cuda()\n"
    )
    assert fix_text(text, Options(codes=CODES)).text == text
    assert fixed(text).count("device = torch") == 0
    assert f"y.to({device})" in fixed(text)


def test_a_parameter_that_may_be_none_is_not_used() -> None:
    after = fixed(
        "import torch\n\n\ndef f(x, y, device=None):\n    x = x.to(device)\n    return x + y.cuda()\n"
    )
    assert f"accelerator = {LONG}" in after
    assert "y.to(accelerator)" in after


def test_a_module_level_device_serves_what_comes_after_it() -> None:
    check(
        """
        import torch

        net = torch.nn.Linear(2, 2).cuda()

        def f(x):
            return net(x.cuda())
        """,
        """
        import torch

        device = LONG
        net = torch.nn.Linear(2, 2).to(device)

        def f(x):
            return net(x.to(device))
        """,
    )


def test_what_an_unsafe_fix_binds_in_the_module_is_no_device_for_a_safe_one() -> None:
    text = """\
        import torch

        SETTINGS = make(device="cuda")


        def f(x: torch.Tensor):
            return x.cuda()
        """
    kept, made = fixed(text, unsafe=False).split("def f", 1)
    assert kept == 'import torch\n\nSETTINGS = make(device="cuda")\n\n\n'
    assert "    device = torch.accelerator.current_accelerator() if" in made
    assert "\ndevice = torch.accelerator.current_accelerator() if" in fixed(text)


def test_functions_before_it_bind_their_own() -> None:
    check(
        """
        import torch

        def f(x):
            return x.cuda()

        net = torch.nn.Linear(2, 2).cuda()
        """,
        """
        import torch


        HELPER

        def f(x):
            device = _get_device()
            return x.to(device)

        device = _get_device()
        net = torch.nn.Linear(2, 2).to(device)
        """,
    )


def test_the_main_guard_is_a_scope() -> None:
    check(
        """
        import torch

        if __name__ == "__main__":
            for x in [torch.ones(1)]:
                print(x.cuda())
        """,
        """
        import torch

        if __name__ == "__main__":
            device = LONG
            for x in [torch.ones(1)]:
                print(x.to(device))
        """,
    )


def test_comments_that_are_code_or_for_tools_stay_with_their_neighbours() -> None:
    check(
        """
        import torch

        def f(x):
            y = x + 1
            # y = x + 2
            y = y.cuda()
            return y

        # %% next cell
        z = torch.ones(1).cuda()
        """,
        """
        import torch


        def get_device():
            return LONG


        def f(x):
            y = x + 1
            # y = x + 2
            device = get_device()
            y = y.to(device)
            return y

        # %% next cell
        device = get_device()
        z = torch.ones(1).to(device)
        """,
    )


def test_no_room_for_a_statement() -> None:
    after = fixed(
        "import torch\n\n\nclass A:\n    x = torch.ones(1).cuda()\n\n    def f(self): return self.x.cuda()\n"
    )
    assert after.count(f".to({LONG})") == 2


@pytest.mark.parametrize(
    ("text", "helper"),
    [
        # A script names it openly, and a file with annotations annotates it.
        (
            "import torch\n\n\ndef f(x) -> None:\n    x.cuda()\n\n\ndef g(x):\n    x.cuda()\n\n\nif __name__ == '__main__':\n    f(1)\n",
            f"def get_device() -> torch.device:\n    return {LONG}\n\n\ndef f(x)",
        ),
        # The name is another's, and lines end as they do elsewhere.
        (
            "import torch as th\r\nfrom a import _get_device\r\n\r\n# Moves.\r\n@once\r\ndef f(x):\r\n\tx.cuda()\r\n\r\ndef g(x):\r\n\tx.cuda()\r\n",
            f"_get_device\r\n\r\n\r\ndef _pick_device():\r\n\treturn {LONG.replace('torch', 'th')}\r\n\r\n\r\n# Moves.\r\n@once\r\ndef f(x)",
        ),
        # The import comes with the fix.
        (
            "def f(x, y):\n    x.cuda(), y.cuda()\n\n\ndef g(x):\n    x.cuda()\n",
            f"import torch\n\n\ndef _get_device():\n    return {LONG}\n\n\ndef f(x, y)",
        ),
    ],
)
def test_a_function_for_several(text: str, helper: str) -> None:
    options = Options(codes=CODES)
    after = fix_text(text, options, unsafe=True).text
    assert helper in after
    assert after.count("current_accelerator") == 1
    assert fix_text(after, options, unsafe=True).text == after


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    import torch\n    return torch.ones(1).cuda()\n\ndef g(x):\n    import torch\n    return torch.ones(1).cuda()\n",
        "try:\n    import torch\nexcept ImportError:\n    torch = None\n\ndef f(x: torch.Tensor):\n    x.cuda()\n\ndef g(x: torch.Tensor):\n    x.cuda()\n",
        "import torch\n\n\ndef f(x):\n    return x.cuda()\n",
    ],
)
def test_no_function_for_one_or_where_torch_may_be_missing(text: str) -> None:
    after = fix_text(text, Options(codes=CODES), unsafe=True).text
    assert "_get_device" not in after


def test_the_index_that_was_made_current_needs_no_device_of_its_own() -> None:
    check(
        """
        import torch

        def main(rank, other: int):
            net = torch.nn.Linear(2, 2).cuda()
            torch.cuda.set_device(rank)
            net.cuda(rank)
            for x in [torch.ones(2)]:
                x.cuda(rank)
            x.cuda(other)
        """,
        """
        import torch

        def main(rank, other: int):
            device = LONG
            net = torch.nn.Linear(2, 2).to(device)
            torch.cuda.set_device(rank)
            net.to(device)
            for x in [torch.ones(2)]:
                x.to(device)
            x.to(torch.device(device.type, other))
        """,
    )


@pytest.mark.parametrize(
    "before",
    [
        "    torch.cuda.set_device(other)\n",
        "    if other:\n        torch.cuda.set_device(rank)\n",
        "    torch.cuda.set_device(rank)\n    rank = rank + 1\n",
        "    torch.cuda.set_device(rank)\n    with torch.cuda.device(other):\n        x.cuda(rank)\n    torch.cuda.set_device(0)\n",
        "    torch.cuda.set_device(rank)\n    for i in range(2):\n        x.cuda(rank)\n        torch.cuda.set_device(i)\n",
    ],
)
def test_another_index_than_the_current_one_is_kept(before: str) -> None:
    text = f"import torch\n\n\ndef main(rank, other, x: torch.Tensor):\n{before}    return x.cuda(rank)\n"
    after = fixed(text)
    assert "x.to(torch.device(device.type, rank))" in after or "current_accelerator().type, rank)" in after


def test_the_device_that_the_object_keeps_has_the_index_that_it_keeps() -> None:
    text = """
        import torch

        class Trainer:
            def __init__(self, net, gpu):
                self.gpu = gpu
                self.device = torch.device(f"cuda:{gpu}" if torch.cuda.is_available() else "cpu")

            def step(self, x: torch.Tensor, other: int):
                return x.cuda(self.gpu), x.cuda(other)
        """
    after = fixed(text)
    assert "return x.to(self.device), x.to(torch.device(self.device.type, other))" in after


def test_what_is_set_later_is_no_device_yet() -> None:
    text = textwrap.dedent(
        """
        import torch

        def main(args, net):
            if args.local_rank == -1:
                device = torch.device("cuda")
            else:
                device = torch.device("cuda", args.local_rank)
                torch.distributed.init_process_group(backend="nccl")
            args.device = device
            net.to(args.device)
        """
    )
    after = fix_text(text, Options(), unsafe=True).text
    assert "init_process_group(backend=torch.distributed.get_default_backend_for_device(device))" in after


def test_a_function_for_several_begins_a_cell() -> None:
    text = "# %% cell 0\nimport torch\n\n# %% cell 1\ndef f(x):\n    x.cuda()\n\n# %% cell 2\ndef g(x):\n    x.cuda()\n"
    after = fix_text(text, Options(codes=CODES), unsafe=True).text
    assert (
        f"\n# %% cell 1\ndef get_device():\n    return {LONG}\n\n\ndef f(x):\n    device = get_device()\n"
        in after
    )


def test_a_count_of_devices_says_that_one_is_there() -> None:
    check(
        """
        import torch

        def f(x):
            if torch.cuda.device_count() > 1:
                x = x.to("cuda")
            return x

        def g(x):
            if torch.cuda.device_count() < 2:
                return x
            return x.to("cuda")
        """,
        """
        import torch

        def f(x):
            if torch.cuda.device_count() > 1:
                device = SHORT
                x = x.to(device)
            return x

        def g(x):
            if torch.cuda.device_count() < 2:
                return x
            device = SHORT
            return x.to(device)
        """,
        unsafe=False,
    )


@pytest.mark.parametrize(
    ("way_out", "sure"),
    [
        ("assert torch.cuda.is_available()\n", True),
        ("assert torch.accelerator.is_available(), 'needs an accelerator'\n", True),
        ("if not torch.cuda.is_available():\n    raise SystemExit('needs a GPU')\n", True),
        ("assert torch.cuda.is_available(), 'You need CUDA'\n", False),
        ("if not torch.cuda.is_available():\n    raise SystemExit('needs an NVIDIA GPU')\n", False),
        ("if torch.cuda.is_available():\n    print('CUDA')\n", False),
    ],
)
def test_a_module_that_is_left_without_an_accelerator_has_one(way_out: str, sure: bool) -> None:
    after = fixed(f"import torch\n\n{way_out}\n\ndef f(x: torch.Tensor):\n    return x.cuda()\n")
    assert (f"    device = {SHORT}\n" in after) is sure
    assert (f"    device = {LONG}\n" in after) is not sure


def test_where_a_tensor_was_before_is_no_place_to_move_it_to() -> None:
    check(
        """
        import torch

        def turn(w: torch.Tensor, other):
            device = w.device
            w = w.float().cuda()
            return other.cuda(), w.to(device)
        """,
        """
        import torch

        def turn(w: torch.Tensor, other):
            device = w.device
            accelerator = LONG
            w = w.float().to(accelerator)
            return other.to(device), w.to(device)
        """,
    )

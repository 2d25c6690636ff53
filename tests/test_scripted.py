"""What TorchScript compiles keeps its calls of torch.cuda."""

from __future__ import annotations

import pytest

from uncuda.engine import Options, fix_text
from uncuda.scripted import scripted

FUNCTION = "import torch\n\n\ndef move(x: torch.Tensor):\n    return x.cuda()\n"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("@torch.jit.script\ndef f(x):\n    return g(x)\n\n\ndef g(x):\n    return x\n\n\ndef h(x):\n    return x\n", {"f", "g"}),
        ("f = torch.jit.script(f)\n\n\ndef f(x):\n    return x\n", {"f"}),
        ("net = Net(1)\ntorch.jit.script(net)\n\n\nclass Net:\n    def forward(self, x):\n        return helper(x)\n\n\n"
         "def helper(x):\n    return x\n", {"Net", "helper"}),
        ("class Net:\n    @torch.jit.script_method\n    def forward(self, x):\n        return self.inner(x)\n\n"
         "    def inner(self, x):\n        return x\n\n    def other(self, x):\n        return x\n", {"forward", "inner"}),
        ("@triton.jit\ndef kernel(x):\n    pass\n", {"kernel"}),
        ("@torch.jit.script_if_tracing\ndef f(x):\n    return x\n", {"f"}),
        ("torch.jit.script(model)\n\n\ndef f(x):\n    return x\n", set()),
        ("script = 'f'\n\n\ndef f(x):\n    return x\n", set()),
        ("def f(:\n", set()),
    ],
)  # fmt: skip
def test_names(text: str, names: set[str]) -> None:
    assert scripted(text) == names


@pytest.mark.parametrize("line", ["move = torch.jit.script(move)\n", "script(move)\n"])
def test_what_is_compiled_stays(line: str) -> None:
    text = f"{FUNCTION}\n\n{line}"
    assert fix_text(text, Options(), unsafe=True).text == text
    assert ".cuda()" not in fix_text(FUNCTION, Options(), unsafe=True).text

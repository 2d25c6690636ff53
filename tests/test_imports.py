"""Imports that fixes leave unused go; those that fixes want come where a reader would look for them."""

from __future__ import annotations

import ast

import pytest

from uncuda.engine import Options, fix_text
from uncuda.fixes.imports import drop_unused

USE = "x = a.f(b, c)\n"
GONE = "x = 1\n"

DROPPED = [
    # (imports, what is used before, what is used after, imports that stay)
    ("import a\n", "a.f", "1", ""),
    ("import a.b\n", "a.b.f", "1", ""),
    ("import a as b\n", "b", "1", ""),
    ("from a import b\n", "b", "1", ""),
    ("from a import b as c\n", "c", "1", ""),
    ("from .a import b\n", "b", "1", ""),
    ("import a, b\n", "a, b", "b", "import b\n"),
    ("import a, b as c\n", "a, c", "a", "import a\n"),
    ("from a import b, c\n", "b, c", "c", "from a import c\n"),
    ("from a import (b, c)\n", "b, c", "c", "from a import c\n"),
    ("from a import (\n    b,\n    c,\n)\n", "b, c", "c", "from a import (\n    c,\n)\n"),
    ("from a import (\n    b,\n    c\n)\n", "b, c", "b", "from a import (\n    b,\n)\n"),
    ("from a import (\n    b, c,\n    d,\n)\n", "b, c, d", "b, c", "from a import b, c\n"),
    ("from a import b as d, \\\n    c\n", "d, c", "d", "from a import b as d\n"),
    ("import a\n\nimport b\n", "a, b", "b", "\nimport b\n"),
    ("import a\nimport a.b\n", "a.b", "1", ""),
    ("if x:\n    import a\n    import b\n", "a, b", "b", "if x:\n    import b\n"),
    ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a\n", "a, TYPE_CHECKING", "TYPE_CHECKING",
     "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\n"),
    ("import a  # for x\nimport b\n", "a, b", "b", "import b\n"),
    ("if x.amp:\n    import a\ny = x\n", "a", "1", "y = x\n"),
    ("if not x.amp:\n    from a import b, c\n    import d\ny = x\n", "b, c, d", "1", "y = x\n"),
    ("if x.amp:\n    import a\nelse:\n    b = 1\ny = x\n", "a", "1", "if x.amp:\n    pass\nelse:\n    b = 1\ny = x\n"),
    ("if x.amp:  # half\n    import a\ny = x\n", "a", "1", "if x.amp:  # half\n    pass\ny = x\n"),
    ("if x():\n    import a\ny = x\n", "a", "1", "if x():\n    pass\ny = x\n"),
    ("import a; import b\n", "a, b", "a", "import a\n"),
    ("import a; import b\n", "a, b", "b", "import b\n"),
    ("import a; import b; import c\n", "a, b, c", "a, c", "import a; import c\n"),
    ("import a; import b\n", "a, b", "1", ""),
    ("import a;  # why\nimport b\n", "a, b", "b", "import b\n"),
    ("if x:\n    import a; import b\n", "a, b", "1", "if x:\n    pass\n"),
    ("from a import (\n    b,  # why\n    c,  # noqa\n    # end\n)\n", "b, c", "c", "from a import (\n    c,  # noqa\n    # end\n)\n"),
    ("if x:\n    import a\n    import b\n", "a, b", "1", "if x:\n    pass\n"),
    ("def f():\n    import a\n    return a\n\n\n", "1", "1", None),
]  # fmt: skip
KEPT = [
    ("import a\n", "1", "1", "it was unused before"),
    ("import a\n", "a", "a.b", "it is used"),
    ("from __future__ import annotations\n", "annotations", "1", "it does something"),
    ("from a import *\n", "b", "1", "nobody knows"),
    ("import a as a\n", "a", "1", "a re-export"),
    ("from a import b as b\n", "b", "1", "a re-export"),
    ("from a import b\n__all__ = ['b']\n", "b", "1", "exported"),
    ("from a import b\ny: 'list[b]' = []\n", "b", "1", "an annotation"),
    ("from a import b\ny = cast('b | None', z)\n", "b", "1", "a type"),
    ("from a import b\ny = Optional['b']\n", "b", "1", "a type"),
    ("from a import b\n\n\ndef f(x: 'b'): pass\n\n\n", "b", "1", "an annotation"),
    ("from a import b\n\n\ndef f() -> 'list[b]': pass\n\n\n", "b", "1", "an annotation"),
    ("from a import b\n__all__ = []\n__all__ += ['b']\n", "b", "1", "exported"),
    ("from a import b\n__all__.append('b')\n", "b", "1", "exported"),
    ("try:\n    import a\nexcept ImportError:\n    b = 1\n", "a", "1", "it asks whether the module is there"),
    (
        "try:\n    import a\n    b = True\nexcept ImportError:\n    b = False\n",
        "a",
        "1",
        "it asks whether the module is there",
    ),
    ("import a  # noqa: F401\n", "a", "1", "has a comment"),
    ("from a import (  # noqa\n    b,\n)\n", "b", "1", "has a comment for a tool"),
    ("from a import (\n    b,  # type: ignore\n    c,\n)\n", "b, c", "c", "has a comment for a tool"),
    ("from a import (\n    b, c,  # both\n)\n", "b, c", "c", "shares its comment"),
]


def text(imports: str, used: str) -> str:
    return f'"""Prose."""\n{imports}\nx = {used}\n'


@pytest.mark.parametrize(("imports", "before", "after", "left"), DROPPED)
def test_unused_imports_go(imports: str, before: str, after: str, left: str | None) -> None:
    result = drop_unused(text(imports, before), text(imports, after))
    ast.parse(result)
    assert result == text(imports if left is None else left, after)
    was, now = (text(imports, used).replace("\n", "\r\n") for used in (before, after))
    crlf = drop_unused(was, now)
    assert crlf == result.replace("\n", "\r\n")


@pytest.mark.parametrize(("imports", "before", "after", "why"), KEPT, ids=[k[-1] for k in KEPT])
def test_others_stay(imports: str, before: str, after: str, why: str) -> None:
    assert drop_unused(text(imports, before), text(imports, after)) == text(imports, after), why


PROSE = [
    '"""b does it."""',
    "'b'",
    "print('uses b here')",
    "log(f'b {x}')",
    "hasattr(x, 'b')",
    "getattr(x, 'b', None)",
    "d = {'b': 'b'}",
    "d['b']",
    "print('b')",
]


@pytest.mark.parametrize("line", PROSE)
def test_a_name_in_prose_is_no_use(line: str) -> None:
    before, after = f"from a import b\n{line}\nx = b\n", f"from a import b\n{line}\nx = 1\n"
    assert drop_unused(before, after) == f"{line}\nx = 1\n"


def test_a_helper_that_a_fix_wrote_hides_no_unused_import() -> None:
    before = "import a, b\n\n\ndef f():\n    return a.x + b.x\n"
    after = "import a, b\n\n\ndef _helper():\n    return a.y\n\n\ndef f():\n    return a.x + _helper()\n"
    assert drop_unused(before, after) == after.replace("import a, b", "import a")


def test_a_use_in_a_function_counts() -> None:
    before = "import a, b\n\n\ndef f():\n    return a.x + b.x\n"
    assert drop_unused(before, before.replace("b.x", "1")) == "import a\n\n\ndef f():\n    return a.x + 1\n"


LOCAL = """\
import b


def f():
    import a
    return {used}


def g():
    import a

    def h(b):
        return a.y + b
    return h
"""


def test_each_function_has_its_own_imports() -> None:
    result = drop_unused(LOCAL.format(used="a.x + b"), LOCAL.format(used="1"))
    assert result == LOCAL.format(used="1").replace("import b\n", "", 1).replace("    import a\n", "", 1)
    kept = drop_unused(LOCAL.format(used="a.x + b"), LOCAL.format(used="a.x + b").replace("a.y", "1"))
    assert kept == LOCAL.format(used="a.x + b").replace("a.y", "1").replace("    import a\n\n", "\n", 1)


def test_a_text_that_does_not_parse_is_left_alone() -> None:
    assert drop_unused("import a\na\n", "import a\n(\n") == "import a\n(\n"


# -- imports that are added --------------------------------------------------------------------------------

TIE = "x.cuda()\n"
HEADS = [
    ("", "import torch\n"),
    ('"""Prose."""\n', '"""Prose."""\nimport torch\n'),
    ("#!/usr/bin/python\n# Licence\n\n", None),
    ("from __future__ import annotations\n", "from __future__ import annotations\nimport torch\n"),
    ('"""Prose."""\n\nfrom __future__ import annotations\n\nimport os\n\n',
     '"""Prose."""\n\nfrom __future__ import annotations\n\nimport os\n\nimport torch\n\n'),
    ("import os\nimport sys\n\n", "import os\nimport sys\n\nimport torch\n\n"),
    ("import os\n\nX = 1\nimport sys\n\n", "import os\n\nimport torch\n\nX = 1\nimport sys\n\n"),
    ("import torch.nn as nn\n", None),
    ("from torch import nn\n", None),
]  # fmt: skip


@pytest.mark.parametrize(("head", "want"), HEADS)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_torch_is_imported_where_it_is_wanted(head: str, want: str | None, newline: str) -> None:
    code = f"{head}\ndef f(m):\n    m.load_state_dict(s)\n    return m.to('cuda')\n".replace("\n", newline)
    result = fix_text(code, Options(codes=frozenset({"UC102"})), unsafe=True)
    assert result.error is None and result.applied
    tree = ast.parse(result.text)
    assert sum(isinstance(n, ast.Import) and any(a.name == "torch" for a in n.names) for n in tree.body) == 1
    if want is not None:
        assert result.text.startswith(want.replace("\n", newline))
    assert result.text.count("\n") == result.text.count(newline)
    first = next(n for n in tree.body if not isinstance(n, ast.Expr))
    if "__future__" in head:
        assert isinstance(first, ast.ImportFrom) and first.module == "__future__"
    if '"""' in head:
        assert ast.get_docstring(tree) == "Prose."


def test_torch_is_named_as_the_code_names_it() -> None:
    head = "torch = None\ntry:\n    import torch as _torch\n    torch = _torch\nexcept ImportError:\n    pass\n\n\n"
    fixed = fix_text(f"{head}def f():\n    if torch is not None:\n        torch.cuda.empty_cache()\n").text
    assert fixed.startswith(head)
    assert "torch.get_device_module().empty_cache()" in fixed and "_torch.get" not in fixed


def test_no_fix_where_torch_is_something_else() -> None:
    code = "torch = fake()\n\n\ndef f(m):\n    return m.to('cuda')\n"
    assert fix_text(code, unsafe=True).text == code
    code = "def f(m, torch):\n    return m.to('cuda')\n"
    assert fix_text(code, unsafe=True).text == code


ORDERS = [
    # (imports of the standard library, where contextlib comes among them)
    ("import argparse\nimport os\nfrom pathlib import Path\n", "import argparse\nimport contextlib\nimport os\nfrom pathlib import Path\n"),
    ("import argparse\nfrom pathlib import Path\n", "import argparse\nimport contextlib\nfrom pathlib import Path\n"),
    ("from pathlib import Path\n", "import contextlib\nfrom pathlib import Path\n"),
    ("import argparse\n", "import argparse\nimport contextlib\n"),
    ("import os\nimport argparse\n", "import os\nimport argparse\nimport contextlib\n"),
    ("from pathlib import Path\nimport os\n", "from pathlib import Path\nimport os\nimport contextlib\n"),
]  # fmt: skip


@pytest.mark.parametrize(("imports", "sorted_in"), ORDERS)
def test_a_new_import_keeps_the_order(imports: str, sorted_in: str) -> None:
    rest = "\nimport torch\n\n\ndef f(x):\n    with torch.cuda.amp.autocast():\n        return x\n"
    fixed = fix_text(imports + rest, Options(torch_floor=(2, 6))).text
    assert fixed.startswith(sorted_in + "\nimport torch\n")


AMONG_OTHERS = [
    ("import os\n\nimport numpy as np\nfrom PIL import Image\n\nfrom mine.a import b\n",
     "import os\n\nimport numpy as np\nimport torch\nfrom PIL import Image\n\nfrom mine.a import b\n"),
    ("from PIL import Image\nimport numpy as np\n\nfrom mine import a\n",
     "from PIL import Image\nimport numpy as np\nimport torch\n\nfrom mine import a\n"),
    ("import numpy as np\nimport xarray\n\nfrom .a import b\n", "import numpy as np\nimport torch\nimport xarray\n\nfrom .a import b\n"),
    ("from .a import b\n", "import torch\nfrom .a import b\n"),
]  # fmt: skip


@pytest.mark.parametrize(("imports", "sorted_in"), AMONG_OTHERS)
def test_torch_comes_among_the_imports_of_other_projects(imports: str, sorted_in: str) -> None:
    rest = "\n\ndef f(m):\n    m.load_state_dict(s)\n    return m.to('cuda')\n"
    fixed = fix_text(imports + rest, Options(own=frozenset({"mine"})), unsafe=True).text
    assert fixed.startswith(sorted_in)


PUT_OFF = [
    ("from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import torch\n", "x: 'torch.Tensor'"),
    ("def make():\n    import torch\n\n    return torch.ones(2)\n", "x"),
]


@pytest.mark.parametrize(("head", "parameter"), PUT_OFF, ids=["for type checkers", "in a function"])
def test_torch_stays_put_off(head: str, parameter: str) -> None:
    code = f"{head}\n\ndef move({parameter}):\n    return x.cuda()\n"
    assert fix_text(code, Options(), unsafe=True).text == code
    own = code.replace("    return x.cuda", "    import torch\n\n    return x.cuda")
    assert ".cuda()" not in fix_text(own, Options(), unsafe=True).text


def test_torch_comes_unsafely_where_nothing_loads_it() -> None:
    code = "def move(x):\n    return x.to('cuda')\n"
    assert fix_text(code, Options()).text == code
    assert fix_text(code, Options(), unsafe=True).text.startswith("import torch\n\n")
    loaded = f"import torchvision\n\n\n{code}"
    assert fix_text(loaded, Options()).text.startswith("import torchvision\nimport torch\n")

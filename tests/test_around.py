"""The rules on files around the code: their examples, as files that the runner reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from uncuda.around.kinds import Kind, is_around, kind_of
from uncuda.around.snippets import in_docstrings, in_text, joined
from uncuda.results import Placed
from uncuda.rules.base import Bad, FileRule, Good
from uncuda.rules.registry import file_rules
from uncuda.runner import Job, Mode, Profile, examine

RULES = file_rules()
BAD = [
    pytest.param(rule, bad, id=f"{rule.code}-bad{i}-{bad.id or 'plain'}")
    for rule in RULES
    for i, bad in enumerate(rule.bad)
]
GOOD = [
    pytest.param(rule, good, id=f"{rule.code}-good{i}") for rule in RULES for i, good in enumerate(rule.good)
]
ALL = frozenset(rule.code for rule in RULES)


def found(file: str, text: str, codes: frozenset[str] = ALL) -> tuple[Placed, ...]:
    """What a run says of a file, its first look at the bytes included."""
    job = Job(Path(file), file, Profile(codes=codes))
    data = text.encode()
    return examine(data, job, Mode.CHECK).findings if job.is_worth_reading(data) else ()


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.code)
def test_a_rule_is_complete(rule: FileRule) -> None:
    assert rule.code.startswith("UC8") and len(rule.code) == 5
    assert rule.summary() and len(rule.why().splitlines()) > 1
    assert rule.triggers and rule.bad
    assert len(rule.good) >= len(rule.bad) or len(rule.good) >= 4
    assert all(bad.file for bad in rule.bad) and all(good.file for good in rule.good)


@pytest.mark.parametrize(("rule", "bad"), BAD)
def test_bad_is_reported(rule: FileRule, bad: Bad) -> None:
    told = found(bad.file, bad.code, frozenset({rule.code}))
    assert [p.finding.code for p in told] == [rule.code] * bad.count
    for placed in told:
        assert 0 <= placed.finding.start < placed.finding.end <= len(bad.code)
        assert placed.finding.outcomes


@pytest.mark.parametrize(("rule", "good"), GOOD)
def test_good_is_left_alone(rule: FileRule, good: Good) -> None:
    assert [p.finding.message for p in found(good.file, good.code, frozenset({rule.code}))] == []


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("requirements/engines/vllm.txt", Kind.REQUIREMENTS),
        ("requirements-dev.txt", Kind.REQUIREMENTS),
        ("docs/notes.txt", None),
        ("CMakeLists.txt", Kind.CMAKE),
        ("deploy/pod.yaml.j2", Kind.YAML),
        ("config.json.example", Kind.JSON),
        ("Dockerfile.rocm", Kind.DOCKERFILE),
        ("Dockerfile-uv.jinja", Kind.DOCKERFILE),
        ("dockerfile_test.py", Kind.PYTHON),
        ("setup.py.j2", None),
        ("README.md.tmpl", None),
        ("train.slurm", Kind.SHELL),
        ("kernels/a.ptx", Kind.NATIVE),
        ("uv.lock", Kind.LOCK),
        ("yarn.lock", None),
        ("pylock.toml", Kind.LOCK),
        ("conda-lock.yml", Kind.LOCK),
    ],
)
def test_kinds(path: str, kind: Kind | None) -> None:
    assert kind_of(path) is kind


def test_json_is_read_where_it_is_named_like_settings() -> None:
    assert (
        is_around("train/config.json")
        and is_around("conf/model.json")
        and is_around("ds_config.json.example")
    )
    assert not is_around("data/locales/en.json")
    assert not is_around("results/config.json")


def test_cmake_asks_under_a_condition_or_without_required() -> None:
    def categories(text: str) -> list[str]:
        return [told.finding.category.value for told in found("CMakeLists.txt", text)]

    assert categories(
        "find_package(CUDA)\nif(CUDA_FOUND AND NOT WIN32)\n  enable_language(CUDA)\nendif()\n"
    ) == [
        "potential",
        "potential",
    ]
    assert categories(
        "find_package(CUDA REQUIRED)\nif(NOT CUDA_FOUND)\n  enable_language(CUDA)\nendif()\n"
    ) == [
        "mandatory",
        "mandatory",
    ]


def test_a_file_for_cuda_or_rocm_is_one_of_several() -> None:
    def category(file: str) -> str:
        (told,) = found(file, "flash-attn==2.8.3\n")
        return told.finding.category.value

    assert category("requirements.txt") == "mandatory"
    assert category("requirements-cpu.txt") == "mandatory"
    assert category("requirements-cu124.txt") == "potential"
    assert category("requirements/rocm.txt") == "potential"


MARKDOWN = """\
Prose x.cuda()

```python
import torch
```

> ~~~py
> x = torch.ones(1)
> ~~~

```console
$ pip install a
output
(venv) $ pip install b
```

```
>>> y = 1
2
>>> for i in y:
...     pass
```

```rust
x.cuda()
```
"""
REST = """\
.. code-block:: python
   :linenos:

   import torch
   x = 1

Prose.

>>> z = 3
"""


def test_code_in_prose_is_found_with_its_rows() -> None:
    made = list(in_text(MARKDOWN))
    assert [(s.kind, s.text) for s in made[:1]] == [(Kind.PYTHON, "import torch\n")]
    shell = next(s for s in made if s.kind is Kind.SHELL)
    assert (shell.text, shell.rows) == ("pip install a\npip install b\n", (12, 14))
    prompt = made[-1]
    assert prompt.text == "y = 1\nfor i in y:\n    pass\n"
    assert prompt.rows == (18, 20, 21)
    (rest,) = joined(in_text(REST, 10))
    assert rest.text.split() == ["import", "torch", "x", "=", "1", "z", "=", "3"]
    assert [rest.rows[i] for i, line in enumerate(rest.text.split("\n")) if line == "z = 3"] == [18]


def test_examples_of_docstrings_have_the_imports_of_their_module() -> None:
    text = 'import torch\n\nMY_DOC = """\n>>> a = 1\n"""\n\n\ndef f():\n    """F.\n\n    >>> f()\n    """\nx = ">>> no"\n'
    made = list(in_docstrings(text))
    assert [s.text for s in made] == ["import torch\na = 1\n", "import torch\nf()\n"] or [
        s.text for s in made
    ] == ["import torch\nf()\n", "import torch\na = 1\n"]
    assert {s.rows for s in made} == {(0, 4), (0, 11)}
    assert list(in_docstrings("x = (\n>>> ")) == []

"""`uncuda explain`: every rule, API, package and target has a page; what isn't known gets a hint."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from uncuda.cli import main
from uncuda.findings import Outcome, Target
from uncuda.report.ansi import Style, cells
from uncuda.report.blocks import (
    Block,
    Code,
    Facts,
    OutcomeTable,
    Paragraph,
    Table,
    diff,
    markdown,
    prose,
    sentence,
    terminal,
)
from uncuda.report.fact_pages import (
    api_blocks,
    api_data,
    package_blocks,
    package_data,
    target_blocks,
    target_data,
)
from uncuda.report.rule_pages import page, rule_blocks, rule_data
from uncuda.rules import knowledge
from uncuda.rules.base import Rule
from uncuda.rules.catalogue import catalogue
from uncuda.rules.registry import by_code

PLAIN = Style(width=100)
Explain = Callable[..., tuple[int, str, str]]


@pytest.fixture
def explain(capsys: pytest.CaptureFixture[str]) -> Explain:
    """Runs `uncuda explain`: exit code, standard output, standard error."""

    def run(*words: str) -> tuple[int, str, str]:
        code = main(["explain", *words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def joined(text: str) -> str:
    """`text` whatever way it was wrapped."""
    return " ".join(text.split())


# -- pages -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", by_code().values(), ids=lambda r: r.code)
def test_a_rule_has_a_page(rule: Rule) -> None:
    blocks = rule_blocks(rule, outcomes=True)
    text = terminal(blocks, PLAIN)
    assert text.startswith(f"{rule.code} {rule.name}\n====")
    for line in rule.summary().split("`")[1::2]:
        assert line in text
    assert ("Off CUDA" in text) == (not rule.code.startswith("UC0"))
    assert ("Fix safety" in text) == bool(rule.fix_safety)
    data = rule_data(rule)
    assert json.loads(json.dumps(data)) == data
    assert len(data["bad"]) == len(rule.bad) and len(data["good"]) == len(rule.good)
    assert all(len(row["outcomes"]) == len(Target) and row["symbols"] for row in data["outcomes"])
    short = page(rule.code)
    assert short is not None and short.summary == rule.summary()
    assert short.markdown == markdown(rule_blocks(rule))


def test_no_page_for_no_rule() -> None:
    assert page("UC998") is None


@pytest.mark.parametrize(
    "api", [*knowledge.apis().values(), *knowledge.frameworks().values()], ids=lambda a: a.symbol
)
def test_an_api_has_a_page(api: knowledge.Api) -> None:
    text = terminal(api_blocks(api), PLAIN)
    for outcome in Outcome:
        targets = [t.value for t in Target if api.outcomes[t] is outcome]
        assert (f"  {outcome.value:<10}  {', '.join(targets)}\n" in text) == bool(targets)
    assert joined(api.source) in joined(text)
    if api.replacement is not None:
        assert joined(api.replacement) in joined(text)
    data = api_data(api)
    assert json.loads(json.dumps(data)) == data
    assert data["rule"] is None or data["rule"] in by_code()


def test_most_apis_are_reported_by_a_rule_that_the_page_names() -> None:
    """The page asks the engine: for what torch itself has, the plainest use is told, but for a few."""
    functions = [
        a for a in knowledge.apis().values() if a.kind in ("function", "class") and a.verdict != "portable"
    ]
    silent = [a.symbol for a in functions if api_data(a)["rule"] is None]
    assert len(silent) < len(functions) / 10, silent


@pytest.mark.parametrize("package", knowledge.packages().values(), ids=lambda p: p.import_name)
def test_a_package_has_a_page(package: knowledge.Package) -> None:
    text = terminal(package_blocks(package), Style(width=1000))
    assert joined(package.alternative) in joined(text)
    for target in Target:
        name = package.support[target].name
        assert re.search(rf"^{target.value} .*{re.escape(package.outcomes[target].value)}", text, re.M)
        assert name is None or joined(name) in joined(text)
    data = package_data(package)
    assert json.loads(json.dumps(data)) == data


@pytest.mark.parametrize("target", Target, ids=lambda t: t.value)
def test_a_target_has_a_page(target: Target) -> None:
    facts = knowledge.target(target)
    text = terminal(target_blocks(facts), PLAIN)
    assert facts.title in text and f"`{facts.backend}`" in text and f"--target {target.value}" in text
    whole = " ".join(markdown(target_blocks(facts, whole=True)).split())
    for api in knowledge.apis().values():
        if api.outcomes[target] in (Outcome.CRASH, Outcome.SILENT_CPU):
            assert api.symbol.removeprefix("env:").replace("|", "\\|") in whole
    data = target_data(facts)
    assert json.loads(json.dumps(data)) == data


# -- the command -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "first"),
    [
        ("UC101", "UC101 cuda-call"),
        ("uc101", "UC101 cuda-call"),
        ("cuda-call", "UC101 cuda-call"),
        ("UC001", "UC001 unused-ignore"),
        (".cuda()", "torch.Tensor.cuda"),
        ("faiss.index_cpu_to_gpu", "faiss.StandardGpuResources()"),
        ("paged_adamw_8bit", 'TrainingArguments(optim="adamw_bnb_8bit")'),
        ("torch.cuda.empty_cache", "torch.cuda.empty_cache"),
        ("torch.cuda.empty_cache()", "torch.cuda.empty_cache"),
        ("cuda.empty_cache", "torch.cuda.empty_cache"),
        ("torch.cuda.memory.empty_cache", "torch.cuda.empty_cache"),
        ("torch.device('cuda')", 'torch.device("cuda")'),
        ("CUDA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"),
        ("env:CUDA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"),
        ("nccl_debug", "NCCL_*"),
        ("flash_attn", "flash_attn"),
        ("flash_attn.layers.rotary", "flash_attn"),
        ("flash-attn", "flash_attn"),
        ("nvidia-ml-py", "pynvml"),
        ("ascend", "Moving to Huawei Ascend NPU (CANN)"),
        ("NPU", "Moving to Huawei Ascend NPU (CANN)"),
        ("rocm", "Moving to AMD ROCm"),
        ("cuda", "torch.cuda"),
    ],
)
def test_a_word_is_explained(explain: Explain, word: str, first: str) -> None:
    code, out, err = explain(word)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == first
    code, out, _ = explain(word, "--output-format", "markdown")
    assert code == 0 and out.startswith(f"# {first}\n")
    code, out, _ = explain(word, "--output-format", "json")
    assert code == 0 and json.loads(out)["kind"] in ("rule", "api", "package", "target")


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("cuda-cal", "did you mean cuda-call"),
        ("UC998", "there is no rule UC998"),
        ("torch.cuda.emptycache", "did you mean torch.cuda.empty_cache"),
        ("flashattn", "did you mean flash_attn"),
        ("asend", "did you mean ascend"),
        ("bnb", "adamw_bnb_8bit"),
        ("CUDA_VISIBLE_DEVICE", "did you mean CUDA_VISIBLE_DEVICES"),
        ("is_available", "torch.cuda.is_available"),
        ("gpu", "nothing is known of 'gpu'"),
        ("", "nothing is known of ''"),
        ("\x1b[31m", "nothing is known of"),
    ],
)
def test_what_is_not_known_gets_a_hint(explain: Explain, word: str, hint: str) -> None:
    code, out, err = explain(word)
    assert (code, out) == (2, "")
    assert err.startswith("uncuda: error: ") and hint in err and "\x1b" not in err and err.count("\n") == 1


def test_several_words(explain: Explain) -> None:
    code, out, err = explain("UC101", "cuda-call", "ascend", "nothing-of-the-kind")
    assert code == 2 and "nothing-of-the-kind" in err
    assert out.count("UC101 cuda-call\n===") == 1 and "Moving to Huawei" in out
    code, out, _ = explain("UC101", "ascend", "--output-format", "json")
    assert code == 0 and [item["kind"] for item in json.loads(out)] == ["rule", "target"]


def test_lists(explain: Explain) -> None:
    code, out, _ = explain()
    assert code == 0 and all(f"{info.code}  {info.name}" in out for info in catalogue())
    _, rows, _ = explain("--output-format", "json")
    assert [row["code"] for row in json.loads(rows)] == [info.code for info in catalogue()]
    for family in ("UC1", "uc1xx"):
        _, out, _ = explain(family)
        assert "UC101" in out and "UC201" not in out
    _, out, _ = explain("UC1", "--output-format", "markdown")
    assert "| UC101 | cuda-call | safe, unsafe |" in out


def test_all(explain: Explain) -> None:
    code, out, _ = explain("--all", "--output-format", "json")
    assert code == 0 and [row["code"] for row in json.loads(out)] == [info.code for info in catalogue()]
    code, out, _ = explain("--all")
    assert code == 0 and all(f"{info.code} {info.name}\n===" in out for info in catalogue())
    code, _, err = explain("--all", "UC101")
    assert code == 2 and "--all" in err


def test_colours_only_when_wanted(explain: Explain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    _, out, _ = explain("UC101")
    assert "\x1b[" in out and re.sub(r"\x1b\[[\d;]*m", "", out).count("`") == 0
    monkeypatch.setenv("NO_COLOR", "1")
    _, out, _ = explain("UC101")
    assert "\x1b" not in out
    _, out, _ = explain("UC101", "--color", "always", "--output-format", "json")
    assert "\x1b" not in out


def test_facts_need_no_parser() -> None:
    """A list, a package or a target is told without libcst, nothing with rich."""
    script = (
        "import sys; from uncuda.cli import main\n"
        "for words in ([], ['flash_attn'], ['ascend'], ['UC2']): assert main(['explain', *words]) == 0\n"
        "assert not {'libcst', 'rich', 'torch'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# -- blocks ------------------------------------------------------------------------------------------------


def test_prose() -> None:
    blocks = prose("One\ntwo.\n\n- a\n  b\n- c\n\nThree.\n")
    assert markdown(blocks) == "One two.\n\n- a b\n- c\n\nThree.\n"
    assert terminal(blocks, PLAIN) == "One two.\n\n- a b\n- c\n\nThree.\n"


def test_sentence() -> None:
    assert sentence("no float8") == "No float8"
    for name in (
        "torch.jit.script is off",
        "all_to_all lists",
        "float64 in part",
        "npu HCCL_*",
        "triton-ascend x",
    ):
        assert sentence(name) == name


def test_diff_keeps_every_line() -> None:
    assert diff("a\nb\nc\n", "a\nx\nc\nd\n") == ["  a", "- b", "+ x", "  c", "+ d"]
    assert diff("\n\na\n", "\n\na\n") == ["", "", "  a"]


def test_markdown_is_not_broken_by_what_it_holds() -> None:
    assert markdown([Table(("a",), [("`x | y`",)])]) == "| a |\n|---|\n| `x \\| y` |\n"
    assert markdown([Code("'''\n```\n'''")]).startswith("````python\n")
    outcomes = dict.fromkeys(Target, Outcome.CRASH)
    assert "| ``f`x``, `y` | crash |" in markdown([OutcomeTable([(["f`x", "y"], outcomes)])])


def test_nothing_is_wider_than_the_terminal_but_code() -> None:
    blocks: list[Block] = [
        Paragraph("words `and code` " * 30),
        Facts([("Label", "value " * 60), ("Other label", "x")]),
        Table(("a", "b"), [("one", "word " * 50), ("two", "")]),
    ]
    for width in (40, 60, 100):
        for style in (Style(width=width), Style(width=width, color=True)):
            for line in terminal(blocks, style).splitlines():
                assert cells(re.sub(r"\x1b\[[\d;]*m", "", line)) <= width


def test_code_over_a_line_end_is_painted_on_both_lines() -> None:
    text = terminal([Paragraph("x " * 18 + "`torch.a torch.b` y")], Style(width=44, color=True))
    assert re.findall(r"\x1b\[36m(.*?)\x1b\[0m", text) == ["torch.a", "torch.b"]

"""Comments that silence rules: where they count, what is told of them, and putting them in."""

from __future__ import annotations

import ast
import io
import json
import tokenize
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uncuda.cli import main
from uncuda.engine import check_text, fix_text
from uncuda.findings import Finding
from uncuda.layout import Layout
from uncuda.marks import ties
from uncuda.results import UNPARSABLE
from uncuda.rules.base import Bad, Good, Rule
from uncuda.rules.catalogue import catalogue
from uncuda.rules.registry import housekeeping_rules
from uncuda.suppressions import add, silence

ALL = frozenset(info.code for info in catalogue())
RULES = housekeeping_rules()
COMMENTS = [rule for rule in RULES if rule.code != "UC000"]
HEAD = "import torch\n\nx = torch.ones(1)\n"


def found(text: str, codes: frozenset[str] = ALL, *, require_reason: bool = False) -> list[Finding]:
    checked = check_text(text)
    assert checked.error is None
    ours = [f for f in checked.findings if f.code in codes]
    return silence(text, ours, codes=codes, require_reason=require_reason)[0]


def told(text: str, codes: frozenset[str] = ALL, *, require_reason: bool = False) -> list[tuple[str, str]]:
    """Code and text of what is left."""
    return [(f.code, text[f.start : f.end]) for f in found(text, codes, require_reason=require_reason)]


def repaired(text: str, codes: frozenset[str] = ALL) -> str:
    """`text` after the fixes of what is told about comments."""

    def keep(text: str, ties: tuple[Finding, ...]) -> list[Finding]:
        return [f for f in silence(text, ties, codes=codes)[0] if f.code.startswith("UC0")]

    fixed = fix_text(text, keep=keep)
    assert fixed.error is None
    return fixed.text


# -- the rules' own examples -------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.code)
def test_a_rule_is_complete(rule: Rule) -> None:
    assert rule.summary() and len(rule.why().splitlines()) > 1
    assert rule.bad and len(rule.good) >= len(rule.bad) and not rule.handlers()
    assert rule.fix_safety or all(bad.fixed is None for bad in rule.bad)


@pytest.mark.parametrize(
    ("rule", "bad"), [pytest.param(r, b, id=f"{r.code}-{b.id or 'plain'}") for r in COMMENTS for b in r.bad]
)
def test_bad_is_reported_and_fixed_as_shown(rule: Rule, bad: Bad) -> None:
    codes = [f.code for f in found(bad.code, require_reason=rule.code == "UC002")]
    assert codes == [rule.code] * bad.count
    assert repaired(bad.code) == (bad.code if bad.fixed is None else bad.fixed)


@pytest.mark.parametrize(
    ("rule", "good"), [pytest.param(r, g, id=f"{r.code}-{i}") for r in COMMENTS for i, g in enumerate(r.good)]
)
def test_good_is_left_alone(rule: Rule, good: Good) -> None:
    assert not found(good.code, require_reason=rule.code == "UC002")


def test_a_file_that_cannot_be_parsed_is_told() -> None:
    [rule] = [rule for rule in RULES if rule.code == "UC000"]
    assert rule.code == UNPARSABLE
    assert all(check_text(bad.code).error is not None for bad in rule.bad)
    assert all(check_text(good.code).error is None for good in rule.good)


# -- where a comment counts --------------------------------------------------------------------------------

SILENT = {
    "code": "y = x.cuda()  # uncuda: ignore[UC101]\n",
    "code and reason": "y = x.cuda()  # uncuda: ignore[UC101] the cluster's, see #12\n",
    "name": "y = x.cuda()  # uncuda: ignore[cuda-call]\n",
    "prefix": "y = x.cuda()  # uncuda: ignore[UC1]\n",
    "two": "y = x.cuda(); torch.cuda.synchronize()  # uncuda: ignore[UC101, cuda-synchronize]\n",
    "bare": "y = x.cuda()  # uncuda: ignore\n",
    "bare with a reason": "y = x.cuda()  # uncuda: ignore since it is CUDA's own test\n",
    "everything": "y = x.cuda()  # uncuda: ignore[ALL] CUDA only\n",
    "no blanks": "y = x.cuda() #uncuda:ignore[UC101]\n",
    "many blanks": "y = x.cuda()  #  uncuda:  ignore [ UC101 ]\n",
    "noqa": "y = x.cuda()  # noqa: UC101\n",
    "noqa among others": "y = x.cuda()  # noqa:E501,UC101 too long\n",
    "noqa without commas": "y = x.cuda()  # NOQA : E501 UC101\n",
    "bare noqa": "y = x.cuda()  # noqa\n",
    "bare noqa in capitals": "y = x.cuda()  # NoQA\n",
    "second in its comment": "y = x.cuda()  # type: ignore[misc]  # uncuda: ignore[UC101]\n",
    "before another": "y = x.cuda()  # uncuda: ignore[UC101]  # type: ignore\n",
    "after words": "y = x.cuda()  # moved for speed # uncuda: ignore[UC101]\n",
    "line above": "# uncuda: ignore[UC101] a reason too long for the line\ny = x.cuda()\n",
    "two lines above": "# uncuda: ignore[UC101] a reason that goes on\n# in the next line\ny = x.cuda()\n",
    "line above, indented": "if x:\n    # uncuda: ignore[UC101]\n    y = x.cuda()\n",
    "first line": "y = f(  # uncuda: ignore[UC101]\n    1,\n    x.cuda(),\n    2,\n)\n",
    "last line": "y = f(\n    1,\n    x.cuda(),\n    2,\n)  # uncuda: ignore[UC101]\n",
    "its own line": "y = f(\n    1,\n    x.cuda(),  # uncuda: ignore[UC101]\n    2,\n)\n",
    "line above, in brackets": "y = f(\n    1,\n    # uncuda: ignore[UC101]\n    x.cuda(),\n    2,\n)\n",
    "line above, all of it": "# uncuda: ignore[UC101]\ny = f(\n    1,\n    x.cuda(),\n    2,\n)\n",
    "tie over lines": "y = x.cuda(\n    non_blocking=True,  # uncuda: ignore[UC101]\n)\n",
    "backslash": "y = x.cuda() \\\n    + 1  # uncuda: ignore[UC101]\n",
    "string over lines": 'y = x.cuda(), """\na\n""", (  # uncuda: ignore[UC101]\n    1)\n',
    "head of a block": "with x.cuda():  # uncuda: ignore[UC101]\n    pass\n",
    "decorator": "@f(x.cuda())  # uncuda: ignore[UC101]\ndef g(): ...\n",
    "last line of the file": "y = x.cuda()  # uncuda: ignore[UC101]",
    "file": "# uncuda: ignore-file[UC101]\ny = x.cuda()\nz = x.cuda()\n",
    "file, below": "y = x.cuda()\n# uncuda: ignore-file\n",
    "block": "# uncuda: ignore-start[UC101]\ny = x.cuda()\nz = x.cuda()\n# uncuda: ignore-end[UC101]\n",
    "block, plain end": "# uncuda: ignore-start[UC101]\ny = x.cuda()\n# uncuda: ignore-end\n",
    "block, bare": "if x:\n    # uncuda: ignore-start why\n    y = x.cuda()\n    # uncuda: ignore-end\n",
    "blocks that overlap": "# uncuda: ignore-start[UC101]\n# uncuda: ignore-start[UC206]\ny = x.cuda()\n"
    "# uncuda: ignore-end[UC101]\ntorch.cuda.synchronize()\n# uncuda: ignore-end[UC206]\n",
}


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("text", SILENT.values(), ids=SILENT.keys())
def test_a_comment_silences(text: str, newline: str) -> None:
    text = (HEAD + text).replace("UC206", sync_code()).replace("\n", newline)
    ties = check_text(text).findings
    kept, silenced = silence(text, ties, codes=ALL)
    assert not kept, [f.message for f in kept]
    assert silenced == len(ties) > 0


def sync_code() -> str:
    [finding] = check_text("import torch\n\ntorch.cuda.synchronize()\n").findings
    assert finding.name == "cuda-synchronize"
    return finding.code


HEARD = {
    "another rule": "y = x.cuda()  # uncuda: ignore[UC205]\n",
    "another linter": "y = x.cuda()  # noqa: E501\n",
    "line before": "z = 1  # uncuda: ignore[UC101]\ny = x.cuda()\n",
    "line after": "y = x.cuda()\nz = 1  # uncuda: ignore[UC101]\n",
    "blank line between": "# uncuda: ignore[UC101]\n\ny = x.cuda()\n",
    "middle of the statement": "y = f(\n    1,  # uncuda: ignore[UC101]\n    x.cuda(),\n    2,\n)\n",
    "noqa above": "# noqa: UC101\ny = x.cuda()\n",
    "in a string": 'y = x.cuda(), "# uncuda: ignore[UC101]"\n',
    "in a long string": 'y = x.cuda(), """\n# uncuda: ignore[UC101]"""\n',
    "in an f-string": "y = x.cuda(), f\"{'# noqa'}\"\n",
    "head of its block": "if x:  # uncuda: ignore[UC101]\n    y = x.cuda()\n",
    "in the middle of words": "y = x.cuda()  # write uncuda: ignore[UC101] here\n",
    "part of a word": "y = x.cuda()  # noqa-like\n",
    "without brackets": "y = x.cuda()  # uncuda: ignore UC101\n",
    "lower case": "y = x.cuda()  # uncuda: ignore[uc101]\n",
    "open bracket": "y = x.cuda()  # uncuda: ignore[UC101\n",
    "empty brackets": "y = x.cuda()  # uncuda: ignore[]\n",
    "other word": "y = x.cuda()  # uncuda: disable[UC101]\n",
    "file, at the end of a line": "y = x.cuda()  # uncuda: ignore-file[UC101]\n",
    "after the block": "# uncuda: ignore-start[UC101]\n# uncuda: ignore-end[UC101]\ny = x.cuda()\n",
    "block without end": "# uncuda: ignore-start[UC101]\ny = x.cuda()\n",
    "block with another end": "# uncuda: ignore-start[UC101]\ny = x.cuda()\n# uncuda: ignore-end[UC102]\n",
    "end of nothing": "y = x.cuda()\n# uncuda: ignore-end[UC101]\n",
}


@pytest.mark.parametrize("text", HEARD.values(), ids=HEARD.keys())
def test_a_tie_is_told_all_the_same(text: str) -> None:
    assert [code for code, _ in told(HEAD + text) if code not in ("UC001", "UC003")] == ["UC101"]


# -- what is told of comments ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected", "message"),
    [
        (
            "x = 1  # uncuda: ignore[UC101]\n",
            ["UC101"],
            "the comment silences UC101, which finds nothing there",
        ),
        ("x = 1  # uncuda: ignore\n", ["# uncuda: ignore"], "the comment silences nothing"),
        ("x = 1  # uncuda: ignore[UC998]\n", ["UC998"], "'UC998' is not a rule"),
        ("x = 1  # uncuda: ignore[uc101]\n", ["uc101"], "'uc101' is not a rule; did you mean UC101?"),
        ("x = 1  # uncuda: ignore[cuda-cal]\n", ["cuda-cal"], "did you mean cuda-call?"),
        ("x = 1  # noqa: UC998\n", ["UC998"], "'UC998' is not a rule"),
        ("x = 1  # uncuda: ignore UC101\n", ["# uncuda: ignore"], "brackets: `uncuda: ignore[UC101]`"),
        ("x = 1  # uncuda: ignore cuda-call\n", ["# uncuda: ignore"], "`uncuda: ignore[cuda-call]`"),
        (
            "x = 1  # uncuda: ignore_file[UC1]\n",
            ["# uncuda: ignore_file[UC1]"],
            "write `uncuda: ignore-file`",
        ),
        ("x = 1  # uncuda: noqa\n", ["# uncuda: noqa"], "write `uncuda: ignore`"),
        ("x = 1  # uncuda: ignore[UC101\n", ["# uncuda: ignore[UC101"], "the bracket isn't closed"),
        ("x = 1  # uncuda: ignore[ ]\n", ["# uncuda: ignore[ ]"], "the brackets are empty"),
        ("x = 1  # uncuda: ignore-file\n", ["# uncuda: ignore-file"], "on a line of its own"),
        ("# uncuda: ignore-start\nx = 1\n", ["# uncuda: ignore-start"], "no `uncuda: ignore-end`"),
        ("# uncuda: ignore-end\nx = 1\n", ["# uncuda: ignore-end"], "nothing before it starts"),
    ],
)
def test_what_is_wrong_with_a_comment(text: str, expected: list[str], message: str) -> None:
    findings = found(text)
    assert [text[f.start : f.end] for f in findings] == expected
    assert message in findings[0].message
    assert findings[0].severity().value == "warning"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1  # uncuda: ignore[UC101]  \n", "x = 1\n"),
        ("x = 1\t# uncuda: ignore[UC101]\r\ny = 2\r\n", "x = 1\r\ny = 2\r\n"),
        ("x = 1  # uncuda: ignore[UC101]", "x = 1"),
        ("def f():\n    # uncuda: ignore[UC101] why\n    return 1\n", "def f():\n    return 1\n"),
        ("x = 1\n# uncuda: ignore[UC101] why", "x = 1\n"),
        ("x = 1  # one  # uncuda: ignore[UC101] why, see #3\n", "x = 1  # one\n"),
        ("x = 1  # uncuda: ignore[UC101] why # noqa: E501\n", "x = 1  # noqa: E501\n"),
        ("# uncuda: ignore[UC101] # other\nx = 1\n", "# other\nx = 1\n"),
        ("# other # uncuda: ignore[UC101]\nx = 1\n", "# other\nx = 1\n"),
        ("x = 1  # noqa: UC101\n", "x = 1\n"),
        ("x = 1  # noqa: UC101,E501, UC102 why\n", "x = 1  # noqa: E501 why\n"),
        ("x = 1  # noqa:E501 UC102\n", "x = 1  # noqa:E501\n"),
        (HEAD + "x.cuda()  # uncuda: ignore[UC101,UC101]\n", HEAD + "x.cuda()  # uncuda: ignore[UC101]\n"),
        (
            HEAD + "x.cuda()  # uncuda: ignore[ UC205 , UC101 ]\n",
            HEAD + "x.cuda()  # uncuda: ignore[ UC101 ]\n",
        ),
        (
            HEAD + "x.cuda()  # uncuda: ignore[UC101]  # noqa: UC101\n",
            HEAD + "x.cuda()  # uncuda: ignore[UC101]\n",
        ),
        (
            "# uncuda: ignore-start[UC101]\nx = 1\n# uncuda: ignore-end[UC101]\n",
            "x = 1\n",
        ),
        (
            HEAD + "# uncuda: ignore-start[UC101,UC205]\nx.cuda()\n# uncuda: ignore-end[UC205,UC101]\n",
            HEAD + "# uncuda: ignore-start[UC101]\nx.cuda()\n# uncuda: ignore-end[UC101]\n",
        ),
        (
            "# uncuda: ignore-file[UC101]\n" + HEAD + "x.cuda()  # uncuda: ignore[UC101]\n",
            HEAD + "x.cuda()  # uncuda: ignore[UC101]\n",
        ),
        ("x = (\n    # uncuda: ignore\n    1\n)\n", "x = (\n    1\n)\n"),
    ],
)
def test_only_what_is_not_needed_goes(before: str, after: str) -> None:
    assert repaired(before) == after
    assert repaired(after) == after


def test_what_this_run_cannot_know_is_not_told() -> None:
    text = HEAD + "y = 1  # uncuda: ignore[UC205]\nz = 1  # uncuda: ignore\nw = 1  # uncuda: ignore[UC2]\n"
    assert [code for code, _ in told(text)] == ["UC001"] * 3
    assert told(text, frozenset({"UC101", "UC001", "UC003"})) == []
    assert told(text, ALL - {"UC001"}) == []
    assert told(text, ALL - {"UC299"} if "UC299" in ALL else ALL - {"UC205"}) != told(text)


def test_a_comment_may_silence_what_is_told_of_it() -> None:
    assert told("x = 1  # uncuda: ignore[UC101, UC001] on some machines\n") == []
    assert (
        told("# uncuda: ignore-file[unused-ignore] made by a script\nx = 1  # uncuda: ignore[UC101]\n") == []
    )
    assert told("x = 1  # uncuda: ignore[UC998, UC003]\n") == []
    # A bare one silences ties only.
    assert [code for code, _ in told("x = 1  # uncuda: ignore[UC998]  # noqa\n")] == ["UC003"]


def test_reasons() -> None:
    def without(comment: str) -> int:
        text = HEAD + f"y = x.cuda()  {comment}\n"
        return sum(code == "UC002" for code, _ in told(text, require_reason=True))

    for comment in (
        "# uncuda: ignore[UC101]",
        "# uncuda: ignore",
        "# noqa",
        "# noqa: UC101, E501",
        "# uncuda: ignore[UC101] -",
    ):
        assert without(comment) == 1, comment
    for comment in (
        "# uncuda: ignore[UC101] - why",
        "# uncuda: ignore why",
        "# noqa: UC101 why",
        "# uncuda: ignore[UC101] #12",
    ):
        assert without(comment) == 0, comment
    assert without("# uncuda: ignore[UC101]  # type: ignore") == 1
    unused = "x = 1  # uncuda: ignore[UC101]\n"
    assert [code for code, _ in told(unused, require_reason=True)] == ["UC001"]


def test_text_without_such_comments_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Layout, text: str) -> None:
        raise AssertionError("the text was read")

    monkeypatch.setattr(Layout, "__init__", refuse)
    text = HEAD + "y = x.cuda()  # noqa: E501\n"
    findings = check_text(text).findings
    assert silence(text, findings, codes=ALL) == (list(findings), 0)


# -- the layout --------------------------------------------------------------------------------------------

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("directory", ["linter", "rules", "fixes", "tests"])
def test_comments_and_logical_lines_are_those_of_python(directory: str) -> None:
    layout_of_python = (tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    for path in (ROOT / directory).rglob("*.py"):
        text = path.read_text("utf-8")
        layout = Layout(text)
        comments, lines, first = [], [], 0
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                comments.append((*token.start, token.string))
            elif token.type == tokenize.NEWLINE:
                lines.append((first, token.start[0]))
                first = 0
            elif token.type not in layout_of_python and not first:
                first = token.start[0]
        at = layout.lines.position
        assert [
            (at(c.start)[0], at(c.start)[1] - 1, text[c.start : c.end]) for c in layout.comments
        ] == comments, path
        assert [layout.logical_line(row) for row, _ in lines] == lines, path


@pytest.mark.parametrize(
    ("text", "comments"),
    [
        ('f"{x["#"]}"  # yes', 1),
        ('f"{x:#x}"  # yes', 1),
        ("f'{x!r:{w}#}'  # yes", 1),
        ("f'{{#'  # yes", 1),
        ("rf'\\{x}#'  # yes", 1),
        ("f'\\N{NUMBER SIGN}#'  # yes", 1),
        ("f'''{\n    x  # within\n}'''  # yes", 1),
        ("if'#':pass  # yes", 1),
        ("'\\'#'  # yes", 1),
        ("r'\\'#'  # yes", 1),
        ("b'#' '' \"#\"  # yes", 1),
        ("'''#''\\'''#'''  # yes", 1),
        ("'unclosed  # no", 0),
        ("'''unclosed  # no\n# no", 0),
        ("f'{unclosed  # no", 0),
        ("x = '\\\n#'  # yes", 1),
    ],
)
def test_comments_beside_odd_strings(text: str, comments: int) -> None:
    assert len(Layout(text).comments) == comments


@given(st.text(alphabet="ab#'\"fr{}[]()\\\n\r:=! \t", max_size=60))
def test_any_text_has_a_layout(text: str) -> None:
    layout = Layout(text)
    for comment in layout.comments:
        assert text[comment.start] == "#"
    for row in range(1, len(layout.lines.starts) + 1):
        first, last = layout.logical_line(row)
        assert first <= row <= last
        assert layout.open_row(row) >= row
    silence(text + "  # uncuda: ignore", [], codes=ALL)


# -- adding comments ---------------------------------------------------------------------------------------


def added(text: str, reason: str = "") -> str:
    new = add(text, check_text(text).findings, reason=reason)
    ast.parse(new)
    assert not [f for f in found(new) if not f.code.startswith("UC0")]
    return new


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x.cuda()\n", "x.cuda()  # uncuda: ignore[UC101]\n"),
        ("x.cuda()", "x.cuda()  # uncuda: ignore[UC101]"),
        ("x.cuda() \n", "x.cuda()  # uncuda: ignore[UC101]\n"),
        ("x.cuda()\t\n", "x.cuda()\t # uncuda: ignore[UC101]\n"),
        ("x.cuda()\r\ny = 1\r\n", "x.cuda()  # uncuda: ignore[UC101]\r\ny = 1\r\n"),
        ("if x:\n\tx.cuda()\n", "if x:\n\tx.cuda()  # uncuda: ignore[UC101]\n"),
        ("x.cuda()  # noqa: E501\n", "x.cuda()  # noqa: E501  # uncuda: ignore[UC101]\n"),
        (
            "x.cuda()  # uncuda: ignore[UC205] why\n",
            "x.cuda()  # uncuda: ignore[UC205, UC101] why\n",
        ),
        ("x.cuda(); x.cuda()\n", "x.cuda(); x.cuda()  # uncuda: ignore[UC101]\n"),
        ("x.cuda() \\\n    + x.cuda()\n", "x.cuda() \\\n    + x.cuda()  # uncuda: ignore[UC101]\n"),
        (
            "f(x.cuda(), '''\n''', 1,\n  2)\n",
            "f(x.cuda(), '''\n''', 1,  # uncuda: ignore[UC101]\n  2)\n",
        ),
        ("f(\n  x.cuda(),\n  2)\n", "f(\n  x.cuda(),  # uncuda: ignore[UC101]\n  2)\n"),
        ("y = f'''{x.cuda()}\n{1}'''\n", "y = f'''{x.cuda()}\n{1}'''  # uncuda: ignore[UC101]\n"),
        ("x.cuda(\n)\n", "x.cuda(  # uncuda: ignore[UC101]\n)\n"),
    ],
)
def test_a_comment_is_put_where_it_works(before: str, after: str) -> None:
    assert added(HEAD + before) == HEAD + after
    assert added(HEAD + after) == HEAD + after


def test_a_reason_is_one_line_and_starts_no_other_comment() -> None:
    text = added(HEAD + "x.cuda()\n", reason="see\n #12 # noqa: E501")
    assert text.endswith("x.cuda()  # uncuda: ignore[UC101] see #12 noqa: E501\n")


# Statements with ties, in every way that a statement can be laid out.
_TIE = st.sampled_from(
    ["x.cuda()", "torch.cuda.synchronize()", 'x.to("cuda")', "1", "torch.cuda.device_count()"]
)
_TAIL = st.sampled_from(
    ["", " ", "\t", "  # noqa: E501", "  # words", "  # type: ignore", ";", "  # uncuda: ignore[UC999]"]
)
_FORM = st.sampled_from(
    [
        "{a}{t}",
        "{a}; {b}{t}",
        "y = f({a},{t2}\n    {b}){t}",
        "y = f(\n    {a},\n\n    # words\n    {b},\n){t}",
        "y = {a} \\\n    , {b}{t}",
        'y = {a}, """\n# uncuda: ignore[UC101] {{\n""", {b}{t}',
        "y = f'''{{{c}\n}} text {{1}}\n'''{t}",
        "if {a}:{t2}\n    {b}{t}\nelse:\n\tz = {a}{t}",
        "@f({a}){t2}\ndef g(d={b}):{t2}\n    return {a}{t}",
        "class C:{t2}\n    y = {a}{t}\n\n    def g(self):\n        return f({b},{t2}\n                 {a}){t}",
        "with {a}, \\\n        f({b}):{t2}\n    '''doc\n    '''; {a}{t}",
    ]
)


@st.composite
def _program(draw: st.DrawFn) -> str:
    parts = [HEAD]
    for _ in range(draw(st.integers(1, 4))):
        words = {name: draw(_TIE) for name in "ab"}
        inner = draw(st.sampled_from(["x.cuda()", "torch.cuda.device_count()"]))
        tails = {"t": draw(_TAIL), "t2": draw(_TAIL.filter(lambda t: t != ";"))}
        parts.append(draw(_FORM).format(**words, c=inner, **tails) + "\n" * draw(st.integers(1, 2)))
    text = "".join(parts)
    text = text[: len(text) - draw(st.integers(0, 1))]
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


@settings(max_examples=150, deadline=None)
@given(_program(), st.data())
def test_added_comments_silence_just_what_they_are_for(text: str, data: st.DataObject) -> None:
    ast.parse(text)
    ties_there = check_text(text).findings
    chosen = [f for f in ties_there if data.draw(st.booleans())]
    reason = data.draw(st.sampled_from(["", "why", "see #1 # noqa"]))
    new = add(text, chosen, reason=reason)
    ast.parse(new)
    # Nothing but the comments was added.
    kept = iter(new)
    assert all(char in kept for char in text)
    assert ast.dump(ast.parse(new)) == ast.dump(ast.parse(text))
    after = check_text(new).findings
    assert [(f.code, f.symbol) for f in after] == [(f.code, f.symbol) for f in ties_there]
    left = found(new)
    assert not [f for f in left if f.code in ("UC001", "UC002")]
    # What shares a statement and a rule with a silenced tie may be silenced with it; all else is still told.
    layout = Layout(text)
    quiet = {(layout.logical_line(layout.row(f.start)), f.code) for f in chosen}
    remaining = {f.start for f in left if f.code in ties()}
    for before, now in zip(ties_there, after, strict=True):
        if before in chosen:
            assert now.start not in remaining
        elif (layout.logical_line(layout.row(before.start)), before.code) not in quiet:
            assert now.start in remaining
    everything = add(new, left, reason=reason)
    assert not [f for f in found(everything) if f.code in ties()]
    assert add(everything, found(everything), reason=reason) == everything


# -- through the command line ------------------------------------------------------------------------------


def test_add_ignore_and_remove_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.py"
    original = (HEAD + "y = x.cuda()\nz = f(\n    x.cuda(),\n)\n").replace("\n", "\r\n").encode()
    file.write_bytes(original)
    command = ["check", "--isolated", "--no-cache", str(file)]
    assert main(command) == 1
    assert main([*command, "--add-ignore=on the cluster"]) == 0
    assert "Silenced 2 ties in 1 file." in capsys.readouterr().err
    quiet = file.read_bytes()
    assert quiet.count(b"# uncuda: ignore[UC101] on the cluster\r\n") == 2
    assert main(command) == 0
    assert main([*command, "--config", "require-reason=true"]) == 0
    assert main([*command, "--add-ignore"]) == 0
    assert file.read_bytes() == quiet
    file.write_bytes(quiet.replace(b".cuda()", b".cpu()"))
    capsys.readouterr()
    assert main([*command, "--output-format", "concise"]) == 1
    assert capsys.readouterr().out.count("UC001 [*]") == 2
    assert main([*command, "--fix"]) == 0
    assert file.read_bytes() == original.replace(b".cuda()", b".cpu()")


def test_fixes_leave_what_is_silenced(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    text = HEAD + "y = x.cuda()  # uncuda: ignore[UC101] stays\n"
    file.write_text(text)
    assert main(["check", "--isolated", "--no-cache", "--fix", str(file)]) == 0
    assert file.read_text() == text


def test_a_comment_alone_is_looked_at_in_a_file_without_ties(tmp_path: Path) -> None:
    for text, code in (
        ("x = 1  # uncuda: ignore\n", 1),
        ("x = 1  # noqa: E501, UC101\n", 1),
        ("x = 1  # noqa\n", 0),
    ):
        (tmp_path / "a.py").write_text(text)
        assert main(["check", "--isolated", "--no-cache", "-q", str(tmp_path)]) == code, text


def test_json_says_where_a_comment_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = HEAD + "y = x.cuda() \\\n    + 1\nz = x.cuda(), '''\n''', 1\n"
    (tmp_path / "a.py").write_text(text)
    main(["check", "--isolated", "--no-cache", "--output-format", "json", str(tmp_path)])
    rows = [item["noqa_row"] for item in json.loads(capsys.readouterr().out)]
    assert rows == [5, 7]
    lines = text.split("\n")
    for row in rows:
        lines[row - 1] += "  # noqa: UC101"
    assert not found("\n".join(lines))

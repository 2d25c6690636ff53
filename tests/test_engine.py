"""The engine as a whole: triggers, islands, fixes to a fixed point, and what must hold for any program."""

from __future__ import annotations

import ast
import io
import re
import textwrap
import tokenize
import warnings
from collections import Counter
from collections.abc import Iterator

import libcst as cst
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pyflakes import messages
from pyflakes.checker import Checker

from uncuda.ast_bindings import AstText, statements
from uncuda.bindings import statements as concrete_statements
from uncuda.engine import Fixed, Options, check_text, fix_text
from uncuda.findings import Applicability, Finding
from uncuda.index import from_ast
from uncuda.islands import Island, Islands, Names
from uncuda.prose import in_code
from uncuda.rules.registry import all_rules
from uncuda.source import Lines
from uncuda.triggers import Triggers

# -- triggers ----------------------------------------------------------------------------------------------

TRIGGERS = Triggers(
    [
        "cuda",
        "CUDA_",
        r"\bcute\b",
        r"\bpipeline( & import transformers|diffusers",
        "import apex",
        "import fla",
        "nv'",
    ]
)
FOUND = [
    ("x.cuda()", {"cuda"}),
    ("is_cuda", {"cuda"}),
    ("xcudax", {"cuda"}),
    ("Cuda", set()),
    ("CUDA", set()),
    ("CUDA_HOME", {"CUDA_"}),
    ("execute", set()),
    ("cute.jit", {r"\bcute\b"}),
    ("_cute", set()),
    ("é.cute", {r"\bcute\b"}),
    ("écute", {r"\bcute\b"}),
    ("nv' nv\"", {"nv'"}),
    ("import apex", {"import apex"}),
    ("import apexes", set()),
    ("import apex.optimizers as o", {"import apex"}),
    ("import os, apex", {"import apex"}),
    ("import os as o, apex as a, re", {"import apex"}),
    ("import os, \\\n    apex", {"import apex"}),
    ("import a.apex", set()),
    ("from apex import amp", {"import apex"}),
    ("from apex.optimizers import (\n    FusedAdam,\n)", {"import apex"}),
    ("from apex import(amp)", {"import apex"}),
    ("from apex \\\n    import amp", {"import apex"}),
    ("x = 1; from apex import amp", {"import apex"}),
    ("if x: import apex", {"import apex"}),
    ("from a import apex_", set()),
    ("from .apex import amp", set()),
    ("importlib.import_module('apex.x')", {"import apex"}),
    ('import_module(\n    name = "apex")', {"import apex"}),
    ("__import__('apex')", {"import apex"}),
    ("optional_import('apex')", {"import apex"}),
    ("import_module(apex)", set()),
    ("raise E from e\n    import apex", {"import apex"}),
    ("raise E from apex\nimport b", set()),
    ("apex = 1", set()),
    ("important apex", set()),
    ("import fla\nimport flash", {"import fla"}),
    ("pipeline(1)", set()),
    ("from transformers import pipeline\npipeline(1)", {r"\bpipeline( & import transformers|diffusers"}),
    ("import diffusers\nx.pipeline(1)", {r"\bpipeline( & import transformers|diffusers"}),
    ("import transformers\n_pipeline(1)", set()),
    ("import transformers\npipeline = 1", set()),
]


@pytest.mark.parametrize(("text", "triggers"), FOUND)
def test_triggers(text: str, triggers: set[str]) -> None:
    hits = TRIGGERS.hits(text)
    assert {trigger for _, trigger in hits} == triggers
    assert hits == sorted(hits)
    assert all(0 <= at < len(text) for at, _ in hits)
    assert TRIGGERS.found_in(text) is bool(triggers)
    if not any("&" in trigger for trigger in triggers):
        assert TRIGGERS.found_in(text.encode().decode("latin-1")) is bool(triggers) or "é" in text


def test_triggers_that_hold_or_overlap_each_other() -> None:
    found = Triggers(["cuda", "cudart", "ncuda", r"\bcuda\b", "data"])
    assert found.hits("ncudart cuda") == [
        (0, "ncuda"),
        (1, "cuda"),
        (1, "cudart"),
        (8, "\\bcuda\\b"),
        (8, "cuda"),
    ]
    assert found.hits("cucuda") == [(2, "cuda")]
    assert found.hits("cudata") == [(0, "cuda"), (2, "data")]


def _spelled(trigger: str) -> str:
    left, right = trigger.startswith(r"\b"), trigger[-2:] if trigger[-2:] in (r"\b", r"\d") else ""
    text = re.escape(trigger.removeprefix(r"\b").removesuffix(right))
    return (
        ("(?<![A-Za-z0-9_])" if left else "")
        + text
        + {"": "", r"\b": r"(?![A-Za-z0-9_])", r"\d": "(?=[0-9])"}[right]
    )


@given(
    st.lists(
        st.builds(
            "{}{}{}".format,
            st.sampled_from(["", r"\b"]),
            st.text("aeU_.", min_size=1, max_size=4),
            st.sampled_from(["", r"\b", r"\d"]),
        ),
        max_size=6,
    ),
    st.text("aeU_.1 ", max_size=12),
)
def test_triggers_are_found_where_they_stand(triggers: list[str], text: str) -> None:
    found = Triggers(triggers)
    stand = {t for t in triggers if re.search(_spelled(t), text)}
    assert {t for _, t in found.hits(text)} == stand
    assert found.found_in(text) is bool(stand)


def test_no_triggers() -> None:
    assert not Triggers([]).found_in("import cuda")
    assert Triggers([]).hits("import cuda") == []


# -- prose -------------------------------------------------------------------------------------------------

PROSE = r"""
a @b  # @c
'@d' "@e f" '@g	h' '''@i''' r'@j k' f'@l m' Rb'@n o' rf"@p q"
DOC@r
 @sDOC @t '\'@u v' '\\' @w 'it\'s @x' @y
'#' @z
""".replace("DOC", '"' * 3)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_comments_and_texts_of_several_words_are_prose(newline: str) -> None:
    text = PROSE.replace("\n", newline)
    hits = [(found.start(), 3) for found in re.finditer("@", text)]
    kept = in_code(text, hits[::-1], 2)
    assert kept == sorted(kept)
    assert "".join(text[at + 1] for at, rules in kept if rules == 3) == "bdilptwyz"
    assert "".join(text[at + 1] for at, rules in kept if rules == 2) == "egjnrsux"
    words = {at for at, _ in in_code(text, hits, 2, 0)}
    assert "".join(text[at + 1] for at, rules in kept if rules == 3 and at not in words) == "di"


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(st.text(alphabet="#'\"\\\n abf@", max_size=40))
def test_prose_is_what_the_parser_says_it_is(text: str) -> None:
    assume(shape(text) is not None)
    known: dict[int, str] = {}
    starts = Lines(text).starts
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.STRING, tokenize.COMMENT):
            start = starts[token.start[0] - 1] + token.start[1]
            known.update(dict.fromkeys(range(start, start + len(token.string)), token.string))
    places = [found.start() for found in re.finditer("[@a]", text)]
    kept = {at for at, _ in in_code(text, [(at, 1) for at in places], 0)}
    for at in places:
        within = known.get(at, "")
        prefix = re.split("['\"]", within)[0].lower()
        prose = within.startswith("#") or (re.search(r"\s", within) is not None and "f" not in prefix)
        assert (at in kept) is not prose


# -- islands -----------------------------------------------------------------------------------------------

CODE = '''\
"""cuda in prose."""
import os  # cuda
from torch.cuda import synchronize as wait

A = "cuda"; B = 1


@mark(A)
def f():
    """cuda."""
    # cuda
    return 1


def g():
    x = "#not-a-comment:cuda"
    return x


@cuda
class C(Base,
        device="cuda"):
    """cuda."""

    a = 1  # cuda
    b = "cuda"

    # cuda
    def one(self):
        "cuda"
        return f(f"""
            # {cuda}
        """)

    def prose(self):
        log("cuda is there", "no cuda", """
            cuda
        """)

    @cuda
    def two(self):
        return 1

    def three(self):
        wait()


class D: x = "cuda"


# cuda
if x: y = "cuda"; z = 1
"cuda"
'''


def islands(text: str) -> list[Island]:
    tree, lines = ast.parse(text), Lines(text)
    triggers = Triggers(["cuda"])
    names = Names(triggers, {"cuda": 1})
    found = Islands(text, tree, lines, from_ast(text, tree, lines), names)
    return found.around(in_code(text, [(at, 1) for at, _ in triggers.hits(text)], 0))


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_islands_are_the_smallest_pieces_around_code(newline: str) -> None:
    text = CODE.replace("\n", newline)
    found = islands(text)
    pieces = [text[i.start : i.end].replace(newline, "\n") for i in found]
    assert pieces == [
        "from torch.cuda import synchronize as wait\n",
        'A = "cuda"; B = 1\n',
        'def g():\n    x = "#not-a-comment:cuda"\n    return x\n',
        '@cuda\nclass C(Base,\n        device="cuda"):\n',
        '    b = "cuda"\n',
        CODE[CODE.index("    def one") : CODE.index("\n    def prose")],
        "    @cuda\n    def two(self):\n        return 1\n",
        "    def three(self):\n        wait()\n",
        'class D: x = "cuda"\n',
        'if x: y = "cuda"; z = 1\n',
    ]
    assert [i.owner for i in found] == ["", "", "", "", "C", "C", "C", "C", "", ""]
    assert [i.head_only for i in found] == [False] * 3 + [True] + [False] * 6


def test_names_of_names_mark_islands() -> None:
    text = "from torch import cuda as c\nd = c\nw = d.synchronize\n\n\ndef f():\n    w()\n\n\ndef g():\n    v()\n"
    found = [text[i.start : i.end].split("\n")[0] for i in islands(text)]
    assert found == ["from torch import cuda as c", "d = c", "w = d.synchronize", "def f():"]


def test_a_name_that_holds_a_trigger_itself_marks_nothing_more() -> None:
    text = "import torch.cuda as cuda\nfrom torch.cuda import x as y, z as cuda_z\n\n\ndef f():\n    y()\n"
    bound = [b for found in from_ast(text, ast.parse(text), Lines(text)).bindings.values() for b in found]
    known: dict[str, int] = {}
    hits = Names(Triggers(["cuda"]), {"cuda": 1}).hits(bound, text, 0, len(text), known)
    assert known == {"y": 1}
    assert [at for at, _ in hits] == [text.index("y,"), text.rindex("y()")]


MARKED = """\
def f(x):
    a = 1
    if x.cuda:
        b = 2
        c = "cuda"
    elif cuda:
        pass
    else:
        # cuda
        "cuda"
    from torch.cuda import one as w
    v = w
    w(), x
    v()
    def g(y=cuda): z = 1; cuda
    @w
    def h(): return 1
    return a
"""


def test_rules_go_to_the_statements_in_whose_own_code_a_trigger_stands() -> None:
    [island] = islands(MARKED)
    found = list(statements(ast.parse(MARKED).body))
    told = [ast.unparse(s).split("\n")[0] for s, rules in zip(found, island.rules, strict=True) if rules]
    assert told == [
        "if x.cuda:",
        "c = 'cuda'",
        "if cuda:",
        "from torch.cuda import one as w",
        "v = w",
        "(w(), x)",
        "v()",
        "def g(y=cuda):",
        "cuda",
        "@w",
    ]
    assert [type(s).__name__ for s in found] == [
        type(s).__name__.removesuffix("Del") for s in concrete_statements(cst.parse_module(MARKED).body)
    ]


def test_names_that_a_class_binds_are_known_in_its_body() -> None:
    text = (
        "class C:\n    from torch.cuda import x as y\n\n    z = y()\n\n    def f(self):\n        return 1\n"
    )
    assert [text[i.start : i.end].strip() for i in islands(text)] == [
        "from torch.cuda import x as y",
        "z = y()",
    ]


def test_places_of_wide_characters() -> None:
    text = "é = '日本🎉'; x = 'cuda'\n"
    [found] = check_text(f"import torch\n{text}torch.zeros(1).to('🎉'); torch.ones(1).to('cuda')\n").findings
    assert found.start == len(f"import torch\n{text}torch.zeros(1).to('🎉'); torch.ones(1).to(")
    source = AstText(text, Lines(text))
    assert source.span(ast.parse(text).body[1]) == (text.index("x"), len(text) - 1)


# -- whole texts -------------------------------------------------------------------------------------------


def test_what_cannot_be_read_is_an_error_and_stays() -> None:
    for text in ("x = cuda(\n", "print 'cuda'\n", "if cuda:\nx\n", "\tcuda\n  cuda\n"):
        checked = check_text(text)
        assert checked.error is not None and not checked.findings
        fixed = fix_text(text)
        assert fixed.text == text and fixed.error is not None


def test_a_text_without_a_trigger_is_not_parsed() -> None:
    assert check_text("x = (\n").error is None


def test_a_timing_after_a_wait_and_the_stream_beside_it_are_fixed_together() -> None:
    text = textwrap.dedent(
        """
        import torch


        def timed(step):
            torch.cuda.synchronize()
            start = torch.cuda.Event(enable_timing=True)
            end = torch.cuda.Event(enable_timing=True)
            stream = torch.cuda.current_stream()
            start.record(stream)
            step()
            end.record(stream)
            end.synchronize()
            return start.elapsed_time(end)
        """
    )
    fixed = fix_text(text)
    assert fixed.error is None and fixed.remaining == ()
    space: dict[str, object] = {}
    exec(fixed.text + "took = timed(lambda: None)\n", space)
    assert isinstance(space["took"], float)


def test_keep_decides_in_every_round() -> None:
    text = "import torch\n\na = torch.zeros(1).cuda()\nb = torch.ones(1).cuda()\n"

    def keep(text: str, findings: tuple[Finding, ...]) -> list[Finding]:
        return [f for f in findings if text[f.start :].startswith("torch.ones")]

    fixed = fix_text(text, keep=keep)
    assert "a = torch.zeros(1).cuda()" in fixed.text and "b = torch.ones(1).to(device)" in fixed.text
    assert fixed.remaining == ()


def test_codes_choose_what_is_told_but_not_what_is_claimed() -> None:
    text = "import torch\n\ntorch.cuda.synchronize()\n"
    [told] = check_text(text).findings
    assert told.code != "UC299"
    assert check_text(text, Options(codes=frozenset({"UC299"}))).findings == ()


# -- what must hold for any program ------------------------------------------------------------------------

EXAMPLES: list[str] = sorted(
    {b.code for r in all_rules() for b in r.bad} | {g.code for r in all_rules() for g in r.good}
)


def wrapped(code: str, head: str) -> str:
    return head + "".join(f"    {line}\n" if line.strip() else "\n" for line in code.splitlines())


WRAPPERS = [
    "def wrapper():\n",
    "async def wrapper(x, *args, device=None, **kwargs):\n",
    "if flag:\n",
    "try:\n    pass\nfinally:\n",
    "with context() as c:\n",
    "for item in items:\n",
    "while flag:\n",
    "class Wrapper:\n",
    "class Wrapper(torch.nn.Module):\n    def method(self):\n        pass\n\n",
    "@decorated\n@also(1)\ndef wrapper(self):\n",
    "match flag:\n  case 1:\n",
    "if torch.cuda.is_available():\n",
    "if flag:\n    pass\nelse:\n",
]


@st.composite
def pieces(draw: st.DrawFn) -> str:
    """An example, perhaps inside other statements."""
    code = draw(st.sampled_from(EXAMPLES))
    if '"""' not in code and "'''" not in code:
        for _ in range(draw(st.integers(0, 2))):
            code = wrapped(code, draw(st.sampled_from(WRAPPERS)))
    return code


def joined(code: str, lines: list[int]) -> str:
    """Some lines joined to the next with a semicolon."""
    found = code.split("\n")
    for at in sorted(lines, reverse=True):
        if at + 1 < len(found):
            indent = len(found[at]) - len(found[at].lstrip())
            if found[at + 1][:indent].strip() == "" and found[at + 1][indent : indent + 1] not in ("", " "):
                found[at : at + 2] = [f"{found[at]}; {found[at + 1].lstrip()}"]
    return "\n".join(found)


def commented(code: str, lines: list[int]) -> str:
    """Comments behind some lines, and above them."""
    found = code.split("\n")
    for at in sorted(lines, reverse=True):
        if at < len(found) and found[at].strip():
            indent = found[at][: len(found[at]) - len(found[at].lstrip())]
            found[at : at + 1] = [f"{indent}# above: cuda", f"{found[at]}  # behind: cuda"]
    return "\n".join(found)


def shape(code: str) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # The compiler refuses more: a __future__ import behind other code, a return at the top.
            compile(code, "program", "exec", dont_inherit=True)
            return ast.dump(ast.parse(code))
    except SyntaxError:
        return None


@st.composite
def programs(draw: st.DrawFn) -> str:
    """Examples one after the other, in the layouts that files have."""
    code = "".join(draw(st.lists(pieces(), min_size=1, max_size=3)))
    numbers = st.lists(st.integers(0, code.count("\n")), max_size=3, unique=True)
    for change in (joined, commented):
        changed = change(code, draw(numbers))
        if shape(changed) is not None and (change is joined or shape(changed) == shape(code)):
            code = changed
    if draw(st.booleans()):
        tabs = "\n".join(_tabbed(line) for line in code.split("\n"))
        if shape(tabs) == shape(code):
            code = tabs
    if draw(st.booleans()):
        code = code.rstrip("\n")
    assume(shape(code) is not None)
    return code.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


def _tabbed(line: str) -> str:
    depth = (len(line) - len(line.lstrip(" "))) // 4
    return "\t" * depth + line[depth * 4 :]


def name_problems(code: str) -> Counter[str]:
    """Names that are missing, or left over: not those of an import in a `try`, which asks whether the module is there."""
    kinds = (messages.UndefinedName, messages.UndefinedLocal, messages.UnusedImport, messages.UnusedVariable)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(code)
        told = Checker(tree).messages
    tried = {
        n.lineno
        for t in ast.walk(tree)
        if isinstance(t, ast.Try)
        for n in ast.walk(t)
        if isinstance(n, ast.stmt)
    }
    return Counter(
        f"{type(m).__name__} {m.message_args[0]}"
        for m in told
        if isinstance(m, kinds) and not (isinstance(m, messages.UnusedImport) and m.lineno in tried)
    )


def comments(code: str) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT:
            yield token.string.strip()


def fixed_twice(code: str, options: Options, unsafe: bool) -> Fixed:
    result = fix_text(code, options, unsafe=unsafe)
    assert result.error is None, result.error
    again = fix_text(result.text, options, unsafe=unsafe)
    assert again.text == result.text, "a second run changes nothing"
    assert again.applied == ()
    return result


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
@given(programs(), st.sampled_from([(2, 6), (2, 9), (2, 2)]))
def test_what_holds_for_any_program(code: str, floor: tuple[int, int]) -> None:
    options = Options(torch_floor=floor)
    whole = Options(torch_floor=floor, whole_file=True)
    checked = check_text(code, options)
    assert checked.error is None
    assert checked == check_text(code, whole), "islands and the whole file give the same"
    for finding in checked.findings:
        assert 0 <= finding.start < finding.end <= len(code)
        if finding.fix is not None:
            assert finding.fix.torch_floor is None or finding.fix.torch_floor <= floor
    before = code
    for unsafe in (False, True):
        result = fixed_twice(code, options, unsafe)
        assert result.text == fix_text(code, whole, unsafe=unsafe).text
        assert shape(result.text) is not None, "it parses"
        if not any(_applicable(f, unsafe) for f in checked.findings):
            assert result.text == code
        assert not name_problems(result.text) - name_problems(code), "no name is lost or left over"
        if "\r\n" in code:
            assert result.text.count("\n") == result.text.count("\r\n")
        else:
            assert "\r" not in result.text
        before = result.text
    assert before is not None


def _applicable(finding: Finding, unsafe: bool) -> bool:
    wanted = {Applicability.SAFE, Applicability.UNSAFE} if unsafe else {Applicability.SAFE}
    return finding.fix is not None and finding.fix.applicability in wanted


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
@given(programs())
def test_comments_that_are_far_from_edits_stay(code: str) -> None:
    checked = check_text(code)
    result = fix_text(code)
    lines = Lines(code)
    touched = {
        row
        for f in checked.findings
        if f.fix is not None
        for e in f.fix.edits
        for row in range(lines.position(e.start)[0], lines.position(e.end)[0] + 1)
    }
    # An import that goes takes the comment behind it along.
    imports = [n for n in ast.walk(ast.parse(code)) if isinstance(n, (ast.Import, ast.ImportFrom))]
    touched |= {row for n in imports for row in range(n.lineno, (n.end_lineno or n.lineno) + 1)}
    kept = Counter(
        lines.line(token.start[0])[token.start[1] :].strip()
        for token in tokenize.generate_tokens(io.StringIO(code).readline)
        if token.type == tokenize.COMMENT and token.start[0] not in touched
    )
    assert not kept - Counter(comments(result.text))

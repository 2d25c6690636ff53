"""Every report format: its shape against a strict schema, and what it does with text that means harm."""

from __future__ import annotations

import io
import json
import os
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import report_runs as runs

from uncuda.findings import Applicability, Edit, Outcome, Severity, Target
from uncuda.report import FORMATS, render
from uncuda.report.ansi import Style, cells, cut_line, style_for, visible
from uncuda.report.diff import render as render_diff
from uncuda.report.markdown import code_span, escape, prose
from uncuda.report.summary import totals
from uncuda.results import Applied, FileResult, Problem, ProblemKind, Run

PLAIN = Style()
COLOR = Style(color=True, terminal=True)
ANSI = re.compile(r"\x1b\[[\d;]*m")
EVIL = "a\x1b[31m\u202ename\x07.py"
PROGRAM = """\
import torch
import torch.nn as nn


def main(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    dev = "cuda" if torch.cuda.is_available() else "cpu"
    torch.cuda.set_device(1)
    y = x.cuda()
    return model.cuda()(y), torch.cuda.mem_get_info(), dev
"""
BROKEN = "import torch\n\nprint 'x'.cuda()\n"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run over real files: a program with ties and fixes of all sorts, and one that isn't Python."""
    root = tmp_path_factory.mktemp("project")
    nested = "def f():\n    import torch\n    # 中文\n    return '日本', torch.zeros(1).cuda()\n"
    return runs.checked(root, {"train.py": PROGRAM, "old.py": BROKEN, "dé pt/ñ 中.py": nested})


def schema(name: str) -> Any:
    text = Path(__file__).with_name("schemas").joinpath(f"{name}.json").read_text()
    return json.loads(text)


def hold(name: str, data: Any) -> None:
    """Holds `data` against a schema, formats included."""
    rules = schema(name)
    checker = jsonschema.Draft202012Validator
    checker.check_schema(rules)
    checker(rules, format_checker=checker.FORMAT_CHECKER).validate(data)


def plain(text: str) -> str:
    return ANSI.sub("", text)


def caret_cells(report: str) -> list[tuple[str, str]]:
    """For each underline: the text above it that it stands under, by terminal cells, and the underline's line."""
    lines = plain(report).split("\n")
    found = []
    for above, line in pairwise(lines):
        if re.fullmatch(r" *\|? *\^+", line):
            start, end = line.index("^"), len(line)
            at, piece = 0, ""
            for char in above:
                if start <= at < end:
                    piece += char
                at += cells(char)
            found.append((piece, line))
    return found


# -- every format ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "style", [PLAIN, COLOR, Style(unicode=False, width=40)], ids=["plain", "color", "narrow"]
)
def test_every_format_renders_everything(name: str, style: Style, real: Run) -> None:
    text = render(name, real, style)
    assert text.endswith("\n")
    if name not in ("junit", "rdjson", "gitlab", "github"):
        assert "UC201" in text
    assert text == render(name, real, style), "the same run gives the same report"
    if name not in ("full", "concise"):
        assert "\x1b" not in text


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_takes_a_clean_run(name: str) -> None:
    text = render(name, runs.run(), PLAIN)
    if name in ("json", "gitlab"):
        assert json.loads(text) == []
    elif name in ("json-lines", "github"):
        assert text == ""
    elif name in ("sarif", "rdjson"):
        json.loads(text)
    elif name == "junit":
        assert ElementTree.fromstring(text).get("tests") == "1"


@pytest.mark.parametrize("name", FORMATS)
def test_control_characters_never_reach_a_terminal_raw(name: str) -> None:
    text = "x = 1  # \x1b[2J\u202e\x07\nx.cuda()\n"
    found = runs.finding(text, "x.cuda()", message="say \x1b[2J`x`\u202e", new="x.to('\x1b]0;t\x07')")
    report = render(name, runs.run(runs.result(Path(EVIL), text, [found], display=EVIL)), COLOR)
    bare = plain(report)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", bare), "a raw control character"
    data = report.encode("utf-8", "backslashreplace")
    assert b"\x1b]" not in data and b"\x1b[2J" not in data


@pytest.mark.parametrize("name", FORMATS)
def test_names_that_are_no_text_are_carried(name: str) -> None:
    odd = os.fsdecode(b"caf\xe9.py")
    text = "x.cuda()\n"
    report = render(
        name, runs.run(runs.result(Path(odd), text, [runs.finding(text, "x.cuda()")], display=odd)), PLAIN
    )
    report.encode("utf-8", "backslashreplace")


def test_a_file_that_failed_is_told_of_in_machine_formats() -> None:
    failed = FileResult(Path("b.py"), "b.py", problem=Problem(ProblemKind.UNREADABLE, "cannot be read: x"))
    run = runs.run(failed)
    log = json.loads(render("sarif", run, PLAIN))
    hold("sarif", log)
    [invocation] = log["runs"][0]["invocations"]
    assert invocation["executionSuccessful"] is False
    assert invocation["toolExecutionNotifications"][0]["descriptor"]["id"] == "unreadable"
    assert "::error title=uncuda,file=b.py::b.py: cannot be read: x" in render("github", run, PLAIN)
    [case] = ElementTree.fromstring(render("junit", run, PLAIN)).iter("error")
    assert case.get("type") == "unreadable"
    assert "cannot be read" in render("markdown", run, PLAIN)
    assert totals(run, PLAIN) == ["1 file could not be dealt with (see the errors above)."]
    assert totals(replace(run, checked=3), PLAIN)[0] == "No ties to CUDA in 2 files."


# -- full --------------------------------------------------------------------------------------------------


def test_full_looks_like_this() -> None:
    text = "import torch\n\n\ndef f(x):\n    a = 1\n    return x.cuda(a)\n"
    device = "device = torch.accelerator.current_accelerator()"
    start = text.index("    return")
    found = runs.finding(
        text,
        "x.cuda(a)",
        message="`.cuda()` needs CUDA",
        new="x.to(device)",
        extra=[Edit(start, start, f"    {device}\n")],
    )
    assert render("full", runs.made_up(text, found), Style(width=80)) == (
        "a.py:6:12: UC901 [*] `.cuda()` needs CUDA\n"
        "  |\n"
        "5 |     a = 1\n"
        "6 |     return x.cuda(a)\n"
        "  |            ^^^^^^^^^\n"
        "  = why: A made-up rule for the tests\n"
        "  = off CUDA: crash on cpu, ascend; works on rocm\n"
        "  = fix: Write it anew (safe, torch ≥ 2.6)\n"
        "6 -     return x.cuda(a)\n"
        f"6 +     {device}\n"
        "7 +     return x.to(device)\n"
        "\n"
        "Found 1 tie in 1 file: 1 crash.\n"
        "Fixable: 1 [*] with --fix.\n"
    )


def test_full_says_why_once_in_a_file_and_draws_a_shared_edit_once() -> None:
    text = "x.cuda()\ny.cuda()\n"
    shared = Edit(0, 0, "device = pick()\n")
    both = [
        runs.finding(text, "x.cuda()", new="x.to(device)", extra=[shared]),
        runs.finding(text, "y.cuda()", new="y.to(device)", extra=[shared]),
    ]
    first, second = (runs.result(Path(n), text, both, display=n) for n in ("a.py", "b.py"))
    report = render("full", runs.run(first, second), PLAIN)
    assert report.count("why: A made-up rule") == 2
    assert report.count("+ device = pick()") == 2
    assert report.count("(safe, torch ≥ 2.6; with the lines shown before)") == 2


def test_full_has_the_outcomes_of_the_chosen_targets_only() -> None:
    text = "x.cuda()\n"
    chosen = frozenset({Target.ASCEND})
    file = runs.result(Path("a.py"), text, [runs.finding(text, "x.cuda()")], targets=chosen)
    assert "off CUDA: crash on ascend\n" in render("full", runs.run(file), PLAIN)


def test_full_underlines_a_tie_over_several_lines() -> None:
    text = "y = torch.tensor(\n    [1],\n\n    device='cuda',\n    dtype=int,\n)\n"
    report = render("full", runs.made_up(text, runs.finding(text, text[4:-1])), PLAIN)
    assert [piece for piece, _ in caret_cells(report)] == ["torch.tensor(", "[1],", "device='cuda',"]
    assert "… 2 more lines of it" in report


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_full_keeps_to_the_lines_of_the_source(newline: str) -> None:
    text = newline.join(["a = 1", "b = x.cuda()", "c = '\x0c \u2028'", ""])
    report = render("full", runs.made_up(text, runs.finding(text, "x.cuda()", new="x.to(d)")), PLAIN)
    assert "\r" not in report
    assert "1 | a = 1\n2 | b = x.cuda()\n  |     ^^^^^^^^\n3 | c = '␌ <U+2028>'\n" in report
    assert "2 - b = x.cuda()\n2 + b = x.to(d)\n" in report


@pytest.mark.parametrize(
    "before",
    [
        pytest.param("\ty = ", id="tab"),
        pytest.param("\t\ty\t=\t", id="tabs"),
        pytest.param("s = '日本語', ", id="cjk"),
        pytest.param("s = 'ｗｉｄｅ', ", id="fullwidth"),
        pytest.param("s = '🚀🔥', ", id="emoji"),
        pytest.param("s = 'e\u0301o\u0308', ", id="combining"),
        pytest.param("s = '\x1b[1m\x00', ", id="controls"),
        pytest.param("s = '\u200b\u202e', ", id="invisible"),
        pytest.param("naïve = 'ß', ", id="latin"),
    ],
)
@pytest.mark.parametrize("unicode", [True, False], ids=["utf-8", "ascii"])
def test_the_underline_stands_under_the_tie(before: str, unicode: bool) -> None:
    text = f"if 1:\n{before}x.cuda(日)\n"
    report = render("full", runs.made_up(text, runs.finding(text, "x.cuda(日)")), Style(unicode=unicode))
    want = "x.cuda(日)" if unicode else r"x.cuda(\u65e5)"
    assert [piece for piece, _ in caret_cells(report)] == [want]
    if not unicode:
        assert report.isascii()


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("place", [0, 300, 100_000], ids=["start", "middle", "far"])
def test_a_long_line_is_cut_around_the_tie(width: int, place: int) -> None:
    text = f"a = 1\n{'y, ' * (place // 3)}x.cuda(){', z' * 100_000}\n"
    report = render(
        "full", runs.made_up(text, runs.finding(text, "x.cuda()", new="x.to(d)")), Style(width=width)
    )
    assert [piece for piece, _ in caret_cells(report)] == ["x.cuda()"]
    rows = report.split("\n\n")[0].split("\n")[1:]
    assert all(cells(row) <= width for row in rows), max(rows, key=cells)
    diff = [row for row in rows if re.match(r" *\d+ [-+] ", row)]
    assert len(diff) == 2 and "x.cuda()" in diff[0] and "x.to(d)" in diff[1]
    assert diff[0].index("x.cuda()") == diff[1].index("x.to(d)")


def test_a_huge_line_with_many_ties_takes_no_time() -> None:
    import time

    text = "x.cuda(); " * 300_000 + "\n"
    found = [runs.finding(text, "x.cuda()", new="x.to(d)", at=n * 10_000) for n in range(200)]
    run = runs.made_up(text, *found)
    begun = time.perf_counter()
    for name in FORMATS:
        render(name, run, PLAIN)
    assert time.perf_counter() - begun < 20


def test_a_tie_that_is_longer_than_the_line_has_room_for_is_shown_from_its_start() -> None:
    text = f"call({'a, ' * 200})\n"
    report = render("full", runs.made_up(text, runs.finding(text, text[:-1])), Style(width=60))
    [(piece, _)] = caret_cells(report)
    assert piece.startswith("call(a, a") and len(piece) > 40


def test_changed_lines_are_wrapped_before_they_are_cut() -> None:
    text = "    x = y.cuda()\n"
    new = "pick(alpha, beta, gamma, delta, epsilon, zeta, eta, theta)"
    report = render("full", runs.made_up(text, runs.finding(text, "y.cuda()", new=new)), Style(width=50))
    at = report.index("1 +")
    assert report[at:].split("\n\n")[0].rstrip("\n") == (
        "1 +     x = pick(alpha, beta, gamma, delta,\n  +       epsilon, zeta, eta, theta)"
    )


def test_a_long_fix_is_cut() -> None:
    text = "x.cuda()\n"
    new = "\n".join(f"line_{n}" for n in range(40))
    report = render("full", runs.made_up(text, runs.finding(text, "x.cuda()", new=new)), PLAIN)
    assert "+ line_9\n" in report and "line_20" not in report and "… and more" in report


def test_an_insertion_leaves_the_lines_around_it_out_of_the_diff() -> None:
    text = "a\nx.cuda()\nb\n"
    found = runs.finding(
        text, "x.cuda()", new="x.to(d)", extra=[Edit(0, 0, "d = 1\n"), Edit(11, 11, "e = 2\n")]
    )
    report = render("full", runs.made_up(text, found), PLAIN)
    assert re.findall(r"^ *\d* [-+] .*", report, re.M) == [
        "1 + d = 1",
        "2 - x.cuda()",
        "3 + x.to(d)",
        "4 + e = 2",
    ]


def test_full_without_its_file_still_tells(tmp_path: Path) -> None:
    text = "x.cuda()\n"
    file = runs.result(tmp_path / "gone.py", text, [runs.finding(text, "x.cuda()")])
    gone = FileResult(file.path, file.display, file.findings)
    report = render("full", runs.run(gone), PLAIN)
    assert "gone.py:1:1: UC901" in report and "off CUDA" in report and "^" not in report


def test_a_file_that_is_no_python_is_shown_where_it_fails(real: Run) -> None:
    report = render("full", real, PLAIN)
    assert re.search(r"old\.py:3:\d+: UC000 cannot be parsed", report)
    assert "3 | print 'x'.cuda()\n" in report


# -- totals ------------------------------------------------------------------------------------------------


def many() -> Run:
    text = "a.cuda()\nb.cuda()\nc.cuda()\nd.cuda()\n"
    return runs.made_up(
        text,
        runs.finding(text, "a.cuda()", new="a"),
        runs.finding(text, "b.cuda()", new="b", trust=Applicability.UNSAFE, outcomes=runs.SILENT),
        runs.finding(
            text, "c.cuda()", new="c", trust=Applicability.DISPLAY, outcomes={Target.CPU: Outcome.DEGRADED}
        ),
        runs.finding(text, "d.cuda()", outcomes={}),
    )


def test_totals_say_what_matters_first() -> None:
    assert totals(many(), PLAIN) == [
        "Found 3 ties in 1 file: 1 silent-cpu, 1 crash, 1 degraded, 1 made-up.",
        "Fixable: 1 [*] with --fix, 1 [**] more with --fix --unsafe-fixes; 2 are left to you.",
    ]


def test_fixes_that_need_a_newer_torch_are_counted() -> None:
    text = "x.cuda()\ny.cuda()\nz.cuda()\n"
    found = [
        runs.finding(text, "x.cuda()", needs=(2, 6)),
        runs.finding(text, "y.cuda()", needs=(2, 4)),
        runs.finding(text, "z.cuda()", new="z"),
    ]
    run = runs.made_up(text, *found)
    told = "Fixable: 1 [*] with --fix, 2 more if the floor were torch 2.6 (--torch-floor)."
    assert totals(run, PLAIN)[1] == told
    old = replace(run, files=(replace(run.files[0], torch_floor=(1, 7)),))
    report = render("full", old, PLAIN)
    assert "= fix: there is one from torch 2.4 on; the project's floor is 1.7\n" in report
    assert "fix: from torch 2.4 on" in render("markdown", old, PLAIN)
    assert [item["fix_needs_torch"] for item in json.loads(render("json", old, PLAIN))] == [
        "2.6",
        "2.4",
        None,
    ]
    hold("sarif", json.loads(render("sarif", old, PLAIN)))


def test_totals_with_unsafe_fixes() -> None:
    assert totals(replace(many(), unsafe=True), PLAIN)[1] == (
        "Fixable: 2 [*] with --fix --unsafe-fixes; 2 are left to you."
    )


def test_totals_after_fixing() -> None:
    run = many()
    applied = (Applied("UC901", "made-up", "Write it anew", Applicability.SAFE),) * 3
    done = replace(run, fixing=True, files=(replace(run.files[0], applied=applied, hidden=2),))
    assert totals(done, PLAIN) == [
        "Fixed 3 ties in 1 file.",
        "3 ties left in 1 file: 1 silent-cpu, 1 crash, 1 degraded, 1 made-up.",
        "Fixable: 1 [**] with --unsafe-fixes; 3 are left to you.",
        "2 harmless ones not shown; --severity info shows them.",
    ]
    clean = replace(done, files=(replace(done.files[0], findings=(), hidden=0),))
    assert totals(clean, PLAIN) == ["Fixed 3 ties in 1 file.", "No ties left in 1 file."]


def test_totals_are_left_out_when_the_run_is_quiet() -> None:
    quiet = replace(many(), totals=False)
    assert "Found" not in render("concise", quiet, PLAIN)
    assert "Found" not in render("full", quiet, COLOR) and "explain" not in render("full", quiet, COLOR)
    assert "Found" in render("markdown", quiet, PLAIN)
    assert render("concise", replace(runs.run(), totals=False), PLAIN) == ""
    assert render("full", replace(runs.run(), totals=False), PLAIN) == ""


def test_a_finding_counts_by_the_chosen_targets() -> None:
    text = "x.cuda()\n"
    outcomes = {Target.CPU: Outcome.CRASH, Target.ASCEND: Outcome.SILENT_CPU, Target.ROCM: Outcome.WORKS}
    found = [runs.finding(text, "x.cuda()", outcomes=outcomes)]
    for target, word in ((Target.CPU, "crash"), (Target.ASCEND, "silent-cpu"), (Target.ROCM, "works")):
        file = runs.result(Path("a.py"), text, found, targets=frozenset({target}))
        assert totals(runs.run(file), PLAIN)[0] == f"Found 1 tie in 1 file: 1 {word}."


# -- concise -----------------------------------------------------------------------------------------------


def test_concise() -> None:
    assert render("concise", many(), PLAIN).split("\n")[:4] == [
        "a.py:1:1: UC901 [*] `it` needs CUDA",
        "a.py:2:1: UC901 [**] `it` needs CUDA",
        "a.py:3:1: UC901 `it` needs CUDA",
        "a.py:4:1: UC901 `it` needs CUDA",
    ]


# -- JSON --------------------------------------------------------------------------------------------------


def test_json_has_the_shape_of_ruff_and_more(real: Run) -> None:
    data = json.loads(render("json", real, PLAIN))
    assert len(data) == len(real.findings) > 4
    for item in data:
        hold("json", item)
        assert Path(item["filename"]).is_absolute()
    lines = render("json-lines", real, PLAIN).splitlines()
    assert [json.loads(line) for line in lines] == data
    fixes = [item["fix"]["applicability"] for item in data if item["fix"]]
    assert "safe" in fixes


def test_json_edits_make_the_fixed_text() -> None:
    text = "s = '日本🚀'; x.cuda()\r\n"
    found = runs.finding(text, "x.cuda()", new="x.to(d)", extra=[Edit(0, 0, "d = 1\r\n")])
    [item] = json.loads(render("json", runs.made_up(text, found), PLAIN))
    rows = text.split("\r\n")
    for edit in reversed(item["fix"]["edits"]):
        start, end = edit["location"], edit["end_location"]
        assert start["row"] == end["row"]
        row = rows[start["row"] - 1]
        rows[start["row"] - 1] = row[: start["column"] - 1] + edit["content"] + row[end["column"] - 1 :]
    assert "\r\n".join(rows) == "d = 1\r\ns = '日本🚀'; x.to(d)\r\n"
    assert item["location"] == {"row": 1, "column": 12}
    assert item["end_location"] == {"row": 1, "column": 20}
    assert item["torch_floor"] == "2.6" and item["symbol"] == "torch.made.up"
    assert item["outcomes"] == {"ascend": "crash", "cpu": "crash", "rocm": "works"}


# -- SARIF -------------------------------------------------------------------------------------------------


def test_sarif_keeps_to_the_schema(real: Run) -> None:
    log = json.loads(render("sarif", real, PLAIN))
    hold("sarif", log)
    [run] = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == sorted({p.finding.code for _, p in real.findings})
    assert len({r["partialFingerprints"]["uncuda/v1"] for r in run["results"]}) == len(run["results"])
    for item in run["results"]:
        assert rules[item["ruleIndex"]]["id"] == item["ruleId"]


def test_sarif_regions_agree_with_their_offsets(real: Run) -> None:
    log = json.loads(render("sarif", real, PLAIN))
    texts = {file.display: file.text() or "" for file in real.files}
    for (file, _), item in zip(real.findings, log["runs"][0]["results"], strict=True):
        regions = [item["locations"][0]["physicalLocation"]["region"]]
        for fix in item.get("fixes", ()):
            regions += [r["deletedRegion"] for r in fix["artifactChanges"][0]["replacements"]]
        rows = texts[file.display].split("\n")
        for region in regions:
            start = sum(len(row) + 1 for row in rows[: region["startLine"] - 1]) + region["startColumn"] - 1
            end = sum(len(row) + 1 for row in rows[: region["endLine"] - 1]) + region["endColumn"] - 1
            assert (start, end - start) == (region["charOffset"], region["charLength"])


def test_sarif_names_files_by_encoded_addresses(real: Run) -> None:
    log = json.loads(render("sarif", real, PLAIN))
    uris = {
        r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in log["runs"][0]["results"]
    }
    assert uris == {"train.py", "old.py", "d%C3%A9%20pt/%C3%B1%20%E4%B8%AD.py"}
    outside = runs.result(Path("/else where/b.py"), "x.cuda()\n", [runs.finding("x.cuda()\n", "x.cuda()")])
    log = json.loads(render("sarif", runs.run(outside), PLAIN))
    hold("sarif", log)
    assert "file:///else%20where/b.py" in json.dumps(log)


def test_the_sarif_schema_is_strict(real: Run) -> None:
    log = json.loads(render("sarif", real, PLAIN))
    log["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError):
        hold("sarif", log)
    log = json.loads(render("sarif", real, PLAIN))
    log["runs"][0]["extra"] = 1
    with pytest.raises(jsonschema.ValidationError):
        hold("sarif", log)


# -- GitHub, GitLab, JUnit, rdjson -------------------------------------------------------------------------


def test_github_escapes_what_the_runner_reads() -> None:
    text = "x.cuda(\n)\n"
    found = runs.finding(text, "x.cuda(\n)", message="100% off, a:b ::set-output\r\n::error::x")
    [line] = render("github", runs.made_up(text, found, display="a,b:c%.py"), PLAIN).splitlines()
    assert line == (
        "::error title=uncuda (UC901),file=a%2Cb%3Ac%25.py,line=1,endLine=2"
        "::a,b:c%25.py:1:1: UC901 100%25 off, a:b ::set-output␍␊::error::x"
    )


def test_github_levels_and_columns() -> None:
    text = "x.cuda()\n"
    for outcome, level in (
        (Outcome.CRASH, "error"),
        (Outcome.DEGRADED, "warning"),
        (Outcome.HARMLESS, "notice"),
    ):
        found = runs.finding(text, "x.cuda()", outcomes={Target.CPU: outcome})
        assert render("github", runs.made_up(text, found), PLAIN).startswith(
            f"::{level} title=uncuda (UC901),file=a.py,line=1,endLine=1,col=1,endColumn=9::"
        )


def test_gitlab_keeps_to_the_schema_and_has_unique_fingerprints(real: Run) -> None:
    data = json.loads(render("gitlab", real, PLAIN))
    hold("gitlab", data)
    assert len({item["fingerprint"] for item in data}) == len(data) == len(real.findings)


def test_gitlab_fingerprints_outlive_edits_elsewhere() -> None:
    def prints(text: str) -> list[str]:
        found = [runs.finding(text, "x.cuda()"), runs.finding(text, "y.cuda()")]
        return [
            item["fingerprint"] for item in json.loads(render("gitlab", runs.made_up(text, *found), PLAIN))
        ]

    text = "def f():\n    x.cuda()\n    y.cuda()\n"
    assert prints(text) == prints("import os\n\n\n" + text.replace("    y", "    # more\n    y"))
    assert prints(text)[0] != prints(text.replace("f()", "g()"))[0]


def test_junit_parses(real: Run) -> None:
    root = ElementTree.fromstring(render("junit", real, PLAIN))
    cases = list(root.iter("testcase"))
    assert root.tag == "testsuites"
    assert (
        len(cases) == len(list(root.iter("failure"))) == len(real.findings) == int(root.get("failures", "0"))
    )
    assert {suite.get("name") for suite in root.iter("testsuite")} == {file.display for file in real.files}
    for suite in root.iter("testsuite"):
        assert int(suite.get("tests", "0")) == len(suite.findall("testcase"))


def test_junit_writes_only_what_xml_can_hold() -> None:
    text = "x.cuda()\n"
    found = runs.finding(text, "x.cuda()", message="<a & 'b'> \x00\x1b\ud800\ufffe ]]>")
    [failure] = ElementTree.fromstring(render("junit", runs.made_up(text, found), PLAIN)).iter("failure")
    assert failure.get("message") == "<a & 'b'> ␀␛<U+D800><U+FFFE> ]]>"


def test_rdjson_keeps_to_the_schema(real: Run) -> None:
    data = json.loads(render("rdjson", real, PLAIN))
    hold("rdjson", data)
    assert len(data["diagnostics"]) == len(real.findings)
    assert any("suggestions" in item for item in data["diagnostics"])


def test_rdjson_counts_bytes_and_gives_one_whole_replacement() -> None:
    text = "é = '日'; x.cuda()\n"
    found = runs.finding(text, "x.cuda()", new="x.to(d)", extra=[Edit(0, 0, "d = 1\n")])
    [item] = json.loads(render("rdjson", runs.made_up(text, found), PLAIN))["diagnostics"]
    start = len("é = '日'; ".encode()) + 1
    assert item["location"]["range"] == {
        "start": {"line": 1, "column": start},
        "end": {"line": 1, "column": start + 8},
    }
    [suggestion] = item["suggestions"]
    assert suggestion["text"] == "d = 1\né = '日'; x.to(d)"
    assert suggestion["range"]["start"] == {"line": 1, "column": 1}


# -- Markdown ----------------------------------------------------------------------------------------------


def test_markdown_lets_nothing_through() -> None:
    assert escape("@user <b> [x](y) *z* #1 a&b") == (r"@<!-- -->user \<b\> \[x\]\(y\) \*z\* \#1 a&amp;b")
    assert code_span("a`b``c") == "```a`b``c```"
    assert code_span("`") == "`` ` ``"
    assert code_span("a|b") == r"`a\|b`"
    assert prose("`x_y` is *it*") == r"`x_y` is \*it\*"
    assert prose("odd ` one") == r"odd \` one"


def test_markdown_is_short_enough_for_a_comment() -> None:
    text = "x.cuda()\n"
    found = [runs.finding(text, "x.cuda()", message="m" * 100) for _ in range(2000)]
    report = render("markdown", runs.made_up(text, *found), PLAIN)
    assert len(report) < 65_536
    assert re.search(r"\*and \d+ findings more\*", report)


def test_markdown_tells_all(real: Run) -> None:
    report = render("markdown", real, PLAIN)
    assert "| `UC201` |" in report and "### `train.py`" in report
    assert report.count("\n- line ") == len(real.findings)


# -- colours and streams -----------------------------------------------------------------------------------


class Stream(io.StringIO):
    """A text stream that says what it is told to about itself."""

    def __init__(self, tty: bool, encoding: str) -> None:
        super().__init__()
        self._tty = tty
        self._encoding = encoding

    def isatty(self) -> bool:
        return self._tty

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding


@pytest.mark.parametrize(
    ("color", "tty", "environ", "want"),
    [
        ("auto", True, {}, True),
        ("auto", False, {}, False),
        ("auto", True, {"TERM": "dumb"}, False),
        ("auto", True, {"NO_COLOR": "1"}, False),
        ("auto", True, {"NO_COLOR": ""}, True),
        ("auto", False, {"FORCE_COLOR": "1"}, True),
        ("auto", False, {"FORCE_COLOR": "0"}, False),
        ("auto", False, {"FORCE_COLOR": ""}, False),
        ("auto", False, {"FORCE_COLOR": "3", "NO_COLOR": "1"}, False),
        ("always", False, {"NO_COLOR": "1"}, True),
        ("never", True, {"FORCE_COLOR": "1"}, False),
    ],
)
def test_who_decides_about_colour(color: str, tty: bool, environ: dict[str, str], want: bool) -> None:
    assert style_for(Stream(tty, "utf-8"), color, environ).color is want


def test_columns_is_the_width_for_a_file_too() -> None:
    assert style_for(Stream(False, "utf-8"), "auto", {"COLUMNS": "72"}).width == 72
    assert style_for(Stream(False, "utf-8"), "auto", {"COLUMNS": "no"}).width == 120
    assert style_for(Stream(False, "utf-8"), "auto", {}).width == 120


def test_an_output_that_is_no_utf8_gets_ascii() -> None:
    for encoding in ("ascii", "cp1252", "latin-1", "iso8859-1"):
        style = style_for(Stream(False, encoding), "auto", {})
        assert not style.unicode
        text = "x = 'é'; x.cuda()\n"
        report = render("full", runs.made_up(text, runs.finding(text, "x.cuda()", new="x")), style)
        assert report.isascii()
    assert style_for(Stream(False, "UTF_8"), "auto", {}).unicode


def test_colours_change_nothing_but_colours(real: Run) -> None:
    for name in ("full", "concise"):
        bare, painted = render(name, real, Style(terminal=True)), render(name, real, COLOR)
        assert painted != bare == plain(painted)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("plain", "plain"),
        ("\ta", "    a"),
        ("a\nb\r", "a␊b␍"),
        ("\x1b[0m\x7f", "␛[0m␡"),
        ("\x9b31m", "<U+009B>31m"),
        ("\u202eabc\u200f", "<U+202E>abc<U+200F>"),
        ("\u2028\u2029", "<U+2028><U+2029>"),
        ("\ud800", "<U+D800>"),
        ("日本 é 👩\u200d🚀", "日本 é 👩\u200d🚀"),
    ],
)
def test_visible(text: str, want: str) -> None:
    assert visible(text) == want


@pytest.mark.parametrize("room", [8, 20, 33, 79])
def test_a_cut_never_takes_more_room_than_there_is(room: int) -> None:
    line = "日本語のテキスト, x.cuda(), " * 30
    for first in range(0, len(line), 7):
        for style in (PLAIN, Style(unicode=False)):
            cut = cut_line(line, 0, len(line), first, first + 5, style, room)
            assert cells(cut.text) <= max(room, 8 + 2 * cells(style.ellipsis))
            assert cut.before + cut.covered <= cells(cut.text)


# -- --diff ------------------------------------------------------------------------------------------------


def test_a_diff_can_be_applied_and_is_made_visible_on_a_terminal() -> None:
    old, new = "a\x1b[1m = x.cuda()\r\nb = 1", "a\x1b[1m = x.to(d)\r\nb = 1"
    run = runs.run(FileResult(Path("a.py"), "a.py", old=old, new=new))
    assert render_diff(run, PLAIN) == (
        "--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n-a\x1b[1m = x.cuda()\r\n+a\x1b[1m = x.to(d)\r\n b = 1"
        "\n\\ No newline at end of file\n"
    )
    shown = plain(render_diff(run, COLOR))
    assert "-a␛[1m = x.cuda()\n" in shown and "\r" not in shown and "\x1b" not in shown


def test_severity_chooses_what_is_shown(tmp_path: Path) -> None:
    text = f"{PROGRAM}\n\nimport torch.distributed as dist\n\nassert dist.get_backend() == 'nccl'\n"
    run = runs.checked(tmp_path, {"a.py": text}, severity=Severity.ERROR)
    everything = runs.checked(tmp_path, {"a.py": text}, severity=Severity.INFO)
    assert 0 < len(run.findings) < len(everything.findings)
    assert run.files[0].hidden == len(everything.findings) - len(run.findings)

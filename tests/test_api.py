"""`uncuda.check_source` and `uncuda.fix_source`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import uncuda
from uncuda.findings import Applicability, Outcome, Severity, Target
from uncuda.results import Position

TEXT = "import torch\n\nx = torch.ones(1)\ny = x.cuda()\ntorch.cuda.empty_cache()\n"
ROOT = Path(__file__).parents[1]


def codes(checked: uncuda.CheckedSource | uncuda.FixedSource) -> list[str]:
    return [finding.code for finding in checked.findings]


def test_a_finding_has_its_place_its_outcomes_and_its_fix() -> None:
    checked = uncuda.check_source(TEXT, select=["cuda-call"])
    [finding] = checked.findings
    assert (finding.code, finding.name, finding.symbol) == ("UC101", "cuda-call", "torch.Tensor.cuda")
    assert (finding.start, finding.end) == (Position(4, 5), Position(4, 13))
    assert finding.severity is Severity.ERROR
    assert finding.outcomes[Target.ASCEND] is Outcome.CRASH and finding.outcomes[Target.ROCM].value == "works"
    assert finding.fix is not None and finding.fix.applicability is Applicability.SAFE
    assert finding.fix.torch_floor == (2, 6)
    assert [edit.start.row for edit in finding.fix.edits] == [4, 4, 4]


def test_edits_make_the_fixed_text() -> None:
    [finding] = uncuda.check_source(TEXT, select=["UC101"]).findings
    assert finding.fix is not None
    rows = TEXT.splitlines(keepends=True)
    for edit in reversed(finding.fix.edits):
        assert edit.start.row == edit.end.row
        row = rows[edit.start.row - 1]
        rows[edit.start.row - 1] = row[: edit.start.column - 1] + edit.text + row[edit.end.column - 1 :]
    assert "".join(rows) == uncuda.fix_source(TEXT, select=["UC101"]).text


def test_rules_are_chosen_by_code_prefix_and_name() -> None:
    every = codes(uncuda.check_source(TEXT))
    assert every == ["UC101", "UC211"]
    assert codes(uncuda.check_source(TEXT, select=["UC1"])) == ["UC101"]
    assert codes(uncuda.check_source(TEXT, ignore=["UC1"])) == ["UC211"]
    assert codes(uncuda.check_source(TEXT, select=["ALL"], ignore=["cuda-empty-cache"])) == ["UC101"]


def test_targets_and_severity() -> None:
    assert codes(uncuda.check_source(TEXT, targets=["rocm"])) == []
    assert codes(uncuda.check_source(TEXT, targets=[Target.ROCM], severity="info")) == ["UC101", "UC211"]
    assert codes(uncuda.check_source(TEXT, targets=["cpu", "ascend"], severity=Severity.ERROR)) == ["UC101"]


def test_the_torch_floor_decides_what_is_written() -> None:
    assert "torch.accelerator" in uncuda.fix_source(TEXT, torch_floor="2.6").text
    assert "torch.accelerator" not in uncuda.fix_source(TEXT, torch_floor="2.3").text


def test_fixing() -> None:
    text = TEXT.replace("\n", "\r\n")
    fixed = uncuda.fix_source(text, select=["UC101"])
    assert "y = x.to(device)\r\n" in fixed.text and fixed.text.count("\n") == fixed.text.count("\r\n") == 6
    assert [(fix.code, fix.applicability.value) for fix in fixed.applied] == [("UC101", "safe")]
    assert (fixed.findings, fixed.suppressed, fixed.error) == ((), 0, None)
    again = uncuda.fix_source(fixed.text, select=["UC101"])
    assert again.text == fixed.text and not again.applied


def test_unsafe_fixes_are_asked_for() -> None:
    text = "import torch\n\ndef f(thing):\n    return thing.cuda()\n"
    careful = uncuda.fix_source(text)
    assert careful.text == text and codes(careful) == ["UC101"]
    assert ".to(device)" in uncuda.fix_source(text, unsafe=True).text


def test_comments_silence() -> None:
    text = TEXT.replace("x.cuda()", "x.cuda()  # uncuda: ignore[UC101] the cluster's")
    checked = uncuda.check_source(text)
    assert codes(checked) == ["UC211"] and checked.suppressed == 1
    assert uncuda.fix_source(text, select=["UC101"]).text == text
    assert codes(uncuda.check_source("x = 1  # uncuda: ignore[UC101]\n")) == ["UC001"]


@pytest.mark.parametrize("text", ["", "x = 1\n", "\n" * 3])
def test_nothing_to_find(text: str) -> None:
    assert uncuda.check_source(text) == uncuda.CheckedSource((), 0)
    assert uncuda.fix_source(text) == uncuda.FixedSource(text, (), (), 0, None)


def test_what_is_not_python_is_a_finding() -> None:
    text = "import torch\nprint torch.cuda.is_available()\n"
    assert codes(uncuda.check_source(text)) == ["UC000"]
    fixed = uncuda.fix_source(text)
    assert fixed.text == text and codes(fixed) == ["UC000"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"select": ["UC998"]}, "select: unknown rule 'UC998'"),
        ({"select": ["cuda-cal"]}, "did you mean cuda-call?"),
        ({"ignore": "UC101"}, "ignore: must be several texts"),
        ({"targets": ["asend"]}, "targets: unknown target 'asend'; did you mean ascend?"),
        ({"torch_floor": "new"}, "torch_floor: must be a torch version"),
        ({"torch_floor": 2.6}, "torch_floor: must be a text"),
        ({"severity": "high"}, "severity: must be one of"),
    ],
)
def test_arguments_that_make_no_sense(arguments: dict[str, Any], message: str) -> None:
    for function in (uncuda.check_source, uncuda.fix_source):
        with pytest.raises(ValueError) as raised:
            function("", **arguments)
        assert message in str(raised.value)


def test_a_file_name_brings_its_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "uncuda.toml").write_text('select = ["UC2"]\n[per-file-ignores]\n"t_*" = ["UC211"]\n')
    (tmp_path / "requirements.txt").write_text("torch>=2.3\n")
    inside = tmp_path / "a.py"
    assert codes(uncuda.check_source(TEXT, filename=inside)) == ["UC211"]
    assert codes(uncuda.check_source(TEXT, filename=tmp_path / "t_a.py")) == []
    assert codes(uncuda.check_source(TEXT, filename=str(inside), select=["ALL"])) == ["UC101", "UC211"]
    assert uncuda.fix_source(TEXT, filename=inside, select=["UC101"]).text == TEXT
    assert uncuda.fix_source(TEXT, filename=inside, select=["UC101"], torch_floor="2.6").text != TEXT
    monkeypatch.chdir(tmp_path)
    assert codes(uncuda.check_source(TEXT)) == ["UC101", "UC211"]
    (tmp_path / "uncuda.toml").write_text("selekt = []\n")
    with pytest.raises(ValueError) as raised:
        uncuda.check_source(TEXT, filename=inside)
    assert "did you mean select?" in str(raised.value)


def test_it_is_loaded_when_it_is_used() -> None:
    script = (
        "import sys, uncuda\n"
        "assert not any(name.startswith('uncuda.') for name in sys.modules), sorted(sys.modules)\n"
        "assert 'check_source' in dir(uncuda)\n"
        "assert uncuda.check_source('x = 1').findings == ()\n"
        "assert not {'rich', 'torch'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with pytest.raises(AttributeError):
        _ = uncuda.nothing_of_the_kind  # type: ignore[attr-defined]


def test_the_documented_example_is_true(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    example = page.partition("```python\n")[2].partition("```\n")[0]
    exec(compile(example, "api.md", "exec"), {})
    out = capsys.readouterr().out
    for line in example.splitlines():
        if line.startswith("# ") or "  # " in line:
            assert line.partition("# ")[2] in out


def test_the_documented_arguments_are_those_there_are() -> None:
    import inspect

    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    for function in (uncuda.check_source, uncuda.fix_source):
        for name in inspect.signature(function).parameters:
            assert name == "text" or f"`{name}`" in page
    for kind in (uncuda.CheckedSource, uncuda.FixedSource, uncuda.SourceFinding, uncuda.SourceFix):
        for name in kind.__dataclass_fields__:
            assert f"`{name}`" in page, name

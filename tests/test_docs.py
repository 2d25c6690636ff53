"""What the guides in docs/ show is true: comments silence, settings are read, formats have the fields they should."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import uncuda
from uncuda.cli import main
from uncuda.report import FORMATS, links
from uncuda.rules.catalogue import catalogue, pairs
from uncuda.settings import KEYS, SettingsTree

DOCS = Path(__file__).resolve().parent.parent / "docs"


def blocks(name: str, language: str) -> list[str]:
    """The code blocks of a guide in a language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```$", (DOCS / name).read_text("utf-8"), re.MULTILINE | re.DOTALL
    )


@pytest.mark.parametrize("block", blocks("suppressions.md", "python"))
def test_the_comments_shown_silence(block: str) -> None:
    text = f"import torch\nimport torch.distributed as dist\n\n{block}"
    bare = re.sub(r"#.*", "", text)
    checked = uncuda.check_source(text)
    assert checked.findings == ()
    assert checked.suppressed == len(uncuda.check_source(bare).findings) > 0


def test_every_form_of_comment_shown_is_understood() -> None:
    table = (DOCS / "suppressions.md").read_text("utf-8").partition("| comment |")[2].partition("\n\n")[0]
    forms = re.findall(r"`(# [^`]+)`", table)
    assert len(forms) >= 10
    text = "\n".join(f"{'' if 'ignore-' in form else 'x = 1  '}{form}" for form in forms)
    found = uncuda.check_source(f"{text}\n").findings
    assert {finding.code for finding in found} == {"UC001"}


@pytest.mark.parametrize("name", ["settings.md", "fix-safety.md"])
def test_the_settings_shown_are_read(name: str, tmp_path: Path) -> None:
    for block in blocks(name, "toml"):
        (tmp_path / "pyproject.toml").write_text(block)
        known = {word for pair in pairs() for word in pair}
        settings = SettingsTree(known, cwd=tmp_path).for_directory(tmp_path)
        assert settings.file == tmp_path / "pyproject.toml"


def test_every_setting_is_described() -> None:
    text = (DOCS / "settings.md").read_text("utf-8")
    assert re.findall(r"^### (.+)$", text, re.MULTILINE) == ["extend", *KEYS]


def test_every_format_is_described() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|", (DOCS / "formats.md").read_text("utf-8"), re.MULTILINE)
    assert tuple(rows[: len(FORMATS)]) == FORMATS


def test_the_json_shown_has_the_fields_that_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.py").write_text("import torch\n\nx = torch.ones(1)\ny = x.cuda()\n")
    main(["check", "--isolated", "--no-cache", "--output-format", "json", "--select", "UC101", str(tmp_path)])
    [real] = json.loads(capsys.readouterr().out)
    [shown] = map(json.loads, blocks("formats.md", "json"))
    assert list(shown) == list(real)
    assert list(shown["fix"]) == list(real["fix"]) and list(shown["fix"]["edits"][0]) == list(
        real["fix"]["edits"][0]
    )
    same = (
        "code",
        "name",
        "message",
        "location",
        "end_location",
        "noqa_row",
        "symbol",
        "category",
        "effort",
        "severity",
    )
    assert {key: shown[key] for key in same} == {key: real[key] for key in same}


def test_a_rule_and_its_address_have_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "DOCUMENTATION", "https://docs.example/")
    for info in catalogue():
        url = links.rule_url(info.code)
        assert url is not None
        page = DOCS / url.removeprefix("https://docs.example/")
        assert f"# {info.code} {info.name}\n" in page.read_text("utf-8")

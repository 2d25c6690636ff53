"""A project whose names, code and settings try to get into every report: nothing of it may act, in any format."""

from __future__ import annotations

import html.parser
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import pytest
from markdown_it import MarkdownIt

ESCAPES = "\x1b]0;owned\x07\x1b[31m"
SCRIPT = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
EXPRESSION = "${{ github.token }}"
COMMAND = "::error file=x::owned"
NAMES = (
    "new\nline ::error::owned.py",
    "<script>alert(1)<.py",
    "\x1b[31mred\x1b]0;owned\x07.py",
    "${{ github.token }}.py",
    "a|b](http:evil) @all `x` *y*.py",
    "q\"uo'te%0A::warning::x.py",
    "-rf.py",
    "$(touch owned).py",
)
CODE = f"""\
import torch

x = torch.ones(1, device="cuda"); y = f({SCRIPT!r}).cuda()
z = f({ESCAPES!r}, {EXPRESSION!r}, {COMMAND!r}).cuda()  # {COMMAND}
"""
FILES = {
    "config.yaml": f"device: cuda\nname: '{SCRIPT}'\n\"{EXPRESSION}\": {{device: cuda}}\n",
    "Dockerfile": f"FROM nvidia/cuda:<script>{EXPRESSION}`x`|y\nENV NCCL_{SCRIPT.replace(' ', '_')}=1\n",
    "requirements.txt": f"flash-attn<script>\nflash-attn @ https://x/{EXPRESSION}{ESCAPES}\nonnxruntime-gpu[<b>]\n",
    "run.sh": f"docker run --gpus '{SCRIPT}{ESCAPES}' nvidia/cuda:'{COMMAND}'\npython t.py --device cuda:'{EXPRESSION}'\n",
    "config.json": json.dumps({"device": "cuda", SCRIPT: {"torch_dtype": ESCAPES, "device": "cuda"}}),
    "README.md": f"```python\nimport torch\nx.cuda()  # {SCRIPT}\n```\n",
    "long.py": "import torch\nx = [" + "1, " * 350_000 + "].cuda(); y = torch.ones(1).cuda()\n",
    "long.yaml": "device: cuda\nx: " + "<script>" * 130_000 + "\n",
    "nb.ipynb": json.dumps(
        {
            "cells": [
                {
                    "cell_type": "code",
                    "source": [CODE],
                    "metadata": {},
                    "outputs": [],
                    "execution_count": None,
                }
            ],
            "metadata": {},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    ),
}
CHECK = ("full", "concise", "json", "json-lines", "sarif", "github", "gitlab", "junit", "rdjson", "markdown")
AUDIT = ("terminal", "html", "markdown", "json", "sarif")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile") / "<b>proj ${{ x }}"
    root.mkdir()
    for name in NAMES:
        (root / name).write_text(CODE)
    for name, text in FILES.items():
        (root / name).write_text(text)
    (root / "pyproject.toml").write_text('[project]\ndependencies = ["torch>=2.6"]\n')
    return root


def run(root: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "uncuda", *words, "."],
        cwd=root,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr.decode()
    assert b"Traceback" not in done.stderr and b"\x1b" not in done.stderr
    assert not (root / "owned").exists()
    return done.stdout.decode("utf-8", "surrogateescape")


def checked(root: Path, name: str) -> str:
    return run(root, "check", "--no-cache", "--severity", "info", "--output-format", name)


def audited(root: Path, name: str) -> str:
    return run(root, "audit", "--no-cache", "-q", "--output-format", name)


@pytest.fixture(scope="module")
def reports(project: Path) -> dict[str, str]:
    return {
        **{f"check {name}": checked(project, name) for name in CHECK},
        **{f"audit {name}": audited(project, name) for name in AUDIT},
    }


def test_no_escape_reaches_any_output(reports: dict[str, str]) -> None:
    for name, text in reports.items():
        assert text, name
        assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", text), name


def test_reports_stay_small(reports: dict[str, str]) -> None:
    for name, text in reports.items():
        assert len(text) < 900_000, (name, len(text))
        if name not in ("check sarif", "audit sarif"):
            assert "1, 1, 1, " * 200 not in text, name


class _Reader(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.handlers += [key for key, _ in attrs if key.startswith("on")]
        self.links += [value or "" for key, value in attrs if key in ("href", "src")]


def test_html_runs_nothing_of_the_project(reports: dict[str, str]) -> None:
    page = _Reader()
    page.feed(reports["audit html"])
    assert page.tags.count("script") == 1 and "img" not in page.tags and "b" in page.tags
    assert page.handlers == []
    assert all(link.startswith("#") for link in page.links)
    assert "alert(1)</script>" not in reports["audit html"]


@pytest.mark.parametrize("name", ["check markdown", "audit markdown"])
def test_markdown_renders_and_makes_nothing_of_names(reports: dict[str, str], name: str) -> None:
    renderer = MarkdownIt("commonmark", {"html": True}).enable("table")
    page = _Reader()
    rendered = renderer.render(reports[name])
    page.feed(rendered)
    known = {"h2", "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "ol", "li", "strong", "em", "code", "pre",
             "details", "summary", "br"}  # fmt: skip
    assert set(page.tags) <= known, set(page.tags) - known
    assert page.handlers == [] and page.links == []
    assert "table" in page.tags and "li" in page.tags
    assert "@all" not in re.sub(r"<code>.*?</code>", "", rendered, flags=re.DOTALL), "a mention"


@pytest.mark.parametrize("name", ["check github"])
def test_a_runner_reads_one_command_a_line_and_no_more(reports: dict[str, str], name: str) -> None:
    for line in reports[name].splitlines():
        if "::" in line:
            assert re.match(r"::(?:error|warning|notice) ", line), line
            assert not re.match(r"::error file=x::", line)
            assert line.count("\n") == 0


def test_data_formats_hold_to_their_schemas(reports: dict[str, str]) -> None:
    schemas = Path(__file__).parent / "schemas"
    published = json.loads((Path(__file__).parent.parent / "linter/audit/audit.schema.json").read_text())
    jsonschema.validate(json.loads(reports["audit json"]), published)
    for name, file in (
        ("check sarif", "sarif"),
        ("audit sarif", "sarif"),
        ("check gitlab", "gitlab"),
        ("check rdjson", "rdjson"),
    ):
        jsonschema.validate(json.loads(reports[name]), json.loads((schemas / f"{file}.json").read_text()))
    shape = json.loads((schemas / "json.json").read_text())
    for item in json.loads(reports["check json"]):
        jsonschema.validate(item, shape)
    names = {tie["path"] for tie in json.loads(reports["audit json"])["ties"]}
    assert set(NAMES) <= names
    for line in reports["check json-lines"].splitlines():
        json.loads(line)


def test_junit_is_xml_with_the_names_in_it(reports: dict[str, str]) -> None:
    tree = ET.fromstring(reports["check junit"])
    assert not list(tree.iter("script"))
    assert any("<script>" in (case.get("name") or "") + (case.get("classname") or "") for case in tree.iter())


def test_the_plan_can_be_pasted(project: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "uncuda",
            "audit",
            "--no-cache",
            "-q",
            "--output-format",
            "json",
            "$(touch owned).py",
        ],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    )
    commands = [
        s["command"] for phase in json.loads(done.stdout)["plan"] for s in phase["steps"] if s["command"]
    ]
    assert commands and all("'$(touch owned).py'" in command for command in commands)

"""The README and its neighbours are true: made parts are up to date, links lead somewhere, commands are the ones run."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXTS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "examples/README.md",
    "benchmarks/README.md",
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md"))),
)


def tool(name: str) -> ModuleType:
    """A script of `tools/`, which is no package."""
    spec = importlib.util.spec_from_file_location(f"tools_{name}", ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    # As for a script, its neighbours are at hand.
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(ROOT / "tools"))
    return module


def test_what_is_made_is_up_to_date() -> None:
    made = tool("made")
    every = made.made()
    stale = [path.name for path, text in every.items() if made.held(path) != text]
    assert not stale, "run: python tools/made.py"
    assert not made.left_over(every), "run: python tools/made.py"


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere(name: str) -> None:
    path = ROOT / name
    prose = re.sub(
        r"^(`{3,}).*?^\1$|(`+)(?!`).+?\2", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    links = re.findall(r"\]\(([^)#]+)\)", prose)
    missing = [link for link in links if not link.startswith("http") and not (path.parent / link).exists()]
    assert not missing


def test_what_the_readme_runs_in_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    shown = capsys.readouterr().out
    assert shown.startswith("UC103 ")
    assert shown.endswith("model = torch.nn.Linear(2, 2).to(device)\n\n")


def test_ci_runs_the_commands_of_the_readme() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    blocks = dict(re.findall(r"<!-- command: (\w+) -->\n```sh\n(.+)\n```", text))
    assert set(blocks) == {"use", "test"}
    assert blocks["use"].endswith("uncuda check examples")
    assert blocks["test"].endswith("-m pytest")
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert set(re.findall(r"readme_command (\w+)\)", script)) == set(blocks)


def test_the_view_for_type_checkers_has_every_module(tmp_path: Path) -> None:
    view = tool("typing_view")
    links = view.wanted()
    assert {"rules", "fixes", "cli", "report", "engine.py", "py.typed"} <= set(links)
    for name, target in links.items():
        assert (view.VIEW / target).resolve() == (ROOT / target.relative_to("../../..")).resolve(), name

"""The audit, used as a lead uses it: one command on a small project, in every format."""

from __future__ import annotations

import html.parser
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from markdown_it import MarkdownIt

from uncuda.audit.collect import web_address
from uncuda.audit.effort import days
from uncuda.audit.history import curve, sparkline, spread
from uncuda.audit.kinds import KINDS, kind_of
from uncuda.audit.reach import importers, reached
from uncuda.audit.treemap import treemap
from uncuda.rules.catalogue import catalogue

TRAIN = """\
import torch
import flash_attn
from helpers import make

device = "cuda" if torch.cuda.is_available() else "cpu"
model = make().cuda()
torch.cuda.synchronize()
torch.backends.cudnn.benchmark = True
"""
HELPERS = "import torch\n\n\ndef make():\n    return torch.nn.Linear(2, 2)\n"
UNUSED = "import torch\n\nx = torch.ones(1).cuda()\n"
NASTY = (
    "import torch\n\nx = torch.ones(1, device='cuda'); y = f('</script><script>alert(1)</script>').cuda()\n"
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "proj"
    root.mkdir()
    (root / "requirements.txt").write_text("torch>=2.6\n")
    (root / "train.py").write_text(TRAIN)
    (root / "helpers.py").write_text(HELPERS)
    (root / "unused.py").write_text(UNUSED)
    return root


def audit(root: Path, *words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "uncuda", "audit", "--no-cache", *words],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == expect, done.stderr
    assert "Traceback" not in done.stderr
    return done


def report(root: Path, *words: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(audit(root, "--output-format", "json", *words).stdout)
    return content


def test_json_has_the_published_shape(project: Path) -> None:
    schema = json.loads((Path(__file__).parent.parent / "linter/audit/audit.schema.json").read_text())
    content = report(project)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(content, schema)
    content["surprise"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, schema)


def test_verdicts(project: Path) -> None:
    content = report(project)
    verdicts = {t["target"]: t["verdict"] for t in content["targets"]}
    assert verdicts["mps"] == "blocked"
    assert [b["path"] for t in content["targets"] if t["target"] == "mps" for b in t["blockers"]] == [
        "train.py"
    ]
    by_hand = "graph = torch.cuda.CUDAGraph()\n"
    (project / "train.py").write_text(TRAIN.replace("import flash_attn\n", "") + by_hand)
    assert {t["verdict"] for t in report(project, "--target", "ascend")["targets"]} == {"work needed"}
    (project / "train.py").write_text("import torch\n\ntorch.cuda.synchronize()\n")
    (project / "unused.py").unlink()
    assert {t["verdict"] for t in report(project, "--target", "ascend")["targets"]} == {
        "ready after automatic fixes"
    }
    assert {t["verdict"] for t in report(project, "--target", "rocm")["targets"]} == {"ready"}


def test_silent_ties_come_first_and_cudnn_flags_cost_nothing(project: Path) -> None:
    content = report(project, "--target", "xpu")
    (xpu,) = content["targets"]
    assert [p["row"] for p in xpu["silent"]] == [5]
    flags = [t for t in content["ties"] if t["symbol"].startswith("torch.backends.cudnn")]
    assert [t["remedy"] for t in flags] == ["nothing to do"]
    text = audit(project, "--target", "xpu").stdout
    assert text.index("Silent") < text.index("Plan")


def test_the_plan_ends_with_verification_and_adds_up(project: Path) -> None:
    content = report(project)
    titles = [phase["title"] for phase in content["plan"]]
    assert titles[0] == "Now, automatically"
    assert titles[-1] == "Verification"
    assert "Packages to swap" in titles
    assert content["effort"]["points"] == pytest.approx(sum(p["points"] for p in content["plan"]), abs=0.02)
    assert any("--fix" in step["command"] for step in content["plan"][0]["steps"])
    low, high = content["effort"]["days"]
    assert 0 < low < high


def test_the_work_is_where_the_code_is_not_where_a_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "a_requirements.txt").write_text("tilelang==0.1.6\n")
    (tmp_path / "kernel.py").write_text("import tilelang\n\n\n@tilelang.jit\ndef add(n):\n    return n\n")
    (tmp_path / "requirements.txt").write_text("tilelang==0.1.6\n")
    content = report(tmp_path)
    phases = {phase["title"]: phase["points"] for phase in content["plan"]}
    assert phases["Kernels to port"] > 5 * phases["Packages to swap"] > 0
    files = {row["path"]: row["points"] for row in content["hotspots"]["files"]}
    assert next(iter(files)) == "kernel.py"
    assert files["kernel.py"] > 5 * files["requirements.txt"] > 0


def test_only_what_the_entry_reaches(project: Path) -> None:
    paths = {t["path"] for t in report(project, "--entry", "train.py")["ties"]}
    assert paths == {"train.py"}
    assert "unused.py" in {t["path"] for t in report(project)["ties"]}


def test_reach_follows_packages_relative_and_lazy_imports(tmp_path: Path) -> None:
    files = {
        "main.py": "from pkg import a\nimport importlib\nm = importlib.import_module('plug')\n",
        "plug.py": "",
        "pkg/__init__.py": "",
        "pkg/a.py": "def f():\n    from .sub.b import c\n",
        "pkg/sub/__init__.py": "from . import d\n",
        "pkg/sub/b.py": "",
        "pkg/sub/d.py": "from ..e import x\n",
        "pkg/e.py": "",
        "pkg/never.py": "",
        "other.py": "import main\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = reached(tmp_path / "main.py", [tmp_path / name for name in files])
    assert {str(p.relative_to(tmp_path.resolve())) for p in found} == set(files) - {
        "pkg/never.py",
        "other.py",
    }


class _Reader(html.parser.HTMLParser):
    """Counts the tags of a page and finds what is loaded from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: dict[str, int] = {}
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.loaded += [v or "" for k, v in attrs if k == "src" or (k == "href" and tag == "link")]


def test_html_is_one_file_and_escapes_the_project(project: Path) -> None:
    (project / "nasty.py").write_text(NASTY)
    (project / "<img src=x onerror=alert(1)>.py").write_text(UNUSED)
    audit(project, "--output-file", "html=out.html")
    text = (project / "out.html").read_text()
    page = _Reader()
    page.feed(text)
    assert page.tags["script"] == 1
    assert "img" not in page.tags
    assert page.loaded == []
    assert "alert(1)</script>" not in text
    assert "default-src 'none'" in text


def test_markdown_escapes_the_project_and_fits_a_comment(project: Path) -> None:
    (project / "a|b](http:evil) @all.py").write_text(UNUSED)
    for number in range(400):
        (project / f"m{number}.py").write_text(TRAIN)
    text = audit(project, "--output-format", "markdown").stdout
    assert len(text) < 65_000
    assert "](http:" not in text
    assert "@all" not in text
    assert "|b" not in text.replace("\\|b", "")


def test_markdown_names_the_steps_and_one_block_of_commands_a_phase(project: Path) -> None:
    text = audit(project, "--output-format", "markdown").stdout
    first = text.index("1. **Now, automatically**")
    assert "× <code>torch.Tensor.cuda</code> (UC101): Move with .to(device)" in text[first:]
    (project / "a\n   ```\n<img src=x>.py").write_text(
        TRAIN + "\nif __name__ == '__main__':\n    x = torch.zeros(1).cuda()\n"
    )
    rendered = MarkdownIt("commonmark").render(audit(project, "--output-format", "markdown").stdout)
    assert "<img" not in rendered
    assert "uncuda rehearse" in rendered


def test_several_places_elsewhere_name_the_report(tmp_path: Path) -> None:
    for name in ("one", "two", "here"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.py").write_text(UNUSED)
    assert (
        "CUDA ties of one, two\n"
        in audit(tmp_path / "here", "--output-format", "markdown", "../one", "../two").stdout
    )
    assert "CUDA ties of here\n" in audit(tmp_path / "here", "--output-format", "markdown", "a.py").stdout


def test_files_that_were_not_checked_are_named_in_every_shape(project: Path) -> None:
    (project / "old<2>.py").write_text("import torch\n\nprint 'x'\ntorch.cuda.synchronize()\n")
    for words in ((), ("--output-format", "markdown"), ("--output-format", "html")):
        said = audit(project, *words).stdout
        assert "Not checked" in said and "line 3" in said
    assert [p["path"] for p in report(project)["problems"]] == ["old<2>.py"]
    (project / "utf16.py").write_bytes("import torch\ntorch.cuda.synchronize()\n".encode("utf-16"))
    said = audit(project, "--output-format", "markdown", expect=2).stdout
    assert "### Not checked (2 files)" in said and "utf16.py: is UTF-16" in said


def test_what_a_ready_target_would_win_back_is_optional(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import torch\n\nx = torch.zeros(2)\nok = x.device.type == 'cuda'\n")
    for words in ((), ("--output-format", "markdown"), ("--output-format", "html")):
        said = audit(tmp_path, *words, "--target", "xpu").stdout
        assert "ready" in said and "days, optional" in said


def test_sarif_and_terminal(project: Path) -> None:
    done = audit(project, "--output-format", "terminal", "--output-file", "sarif=out.sarif")
    sarif = json.loads((project / "out.sarif").read_text())
    assert sarif["version"] == "2.1.0"
    assert len(sarif["runs"][0]["results"]) == len(report(project)["ties"])
    assert "\x1b[" not in done.stdout
    assert "\x1b[" in audit(project, "--color", "always").stdout


def test_fail_on(project: Path) -> None:
    audit(project)
    audit(project, "--fail-on", "blocked", expect=1)
    audit(project, "--target", "rocm", "--fail-on", "blocked")
    audit(project, "--fail-on", "nonsense", expect=2)


def test_compare(project: Path) -> None:
    audit(project, "--output-file", "json=old.json")
    (project / "unused.py").unlink()
    (project / "train.py").write_text(TRAIN + "torch.cuda.empty_cache()\n")
    text = audit(project, "--compare", "old.json").stdout
    assert "1 tie gone, 1 new" in text
    assert "new: train.py UC211 torch.cuda.empty_cache" in text
    (project / "old.json").write_text("{}")
    assert "not a report" in audit(project, "--compare", "old.json", expect=2).stderr
    assert "No such file" in audit(project, "--compare", "gone.json", expect=2).stderr


def test_a_directory_elsewhere_is_reported_as_from_within(project: Path, tmp_path: Path) -> None:
    (project / "test_it.py").write_text("import torch\n\n\ndef test():\n    torch.ones(1).cuda()\n")
    (project / "train.py").write_text(TRAIN + "if __name__ == '__main__':\n    model.cuda()\n")
    here = tmp_path / "elsewhere"
    here.mkdir()
    for where in (project, here):
        git(where, "init", "-q")
        git(where, "remote", "add", "origin", f"https://github.com/someone/{where.name}.git")
        git(where, "add", ".")
        git(where, "commit", "-qm", where.name, "--allow-empty")
    inside = report(project)
    audit(project, "--output-file", "json=../old.json")
    for named in (str(project), "../proj"):
        outside = report(here, named)
        assert outside["ties"] == inside["ties"]
        assert outside["hotspots"] == inside["hotspots"]
        assert outside["project"]["revision"] == inside["project"]["revision"]
        commands = [s["command"] for phase in outside["plan"] for s in phase["steps"] if s.get("command")]
        assert f"uncuda check {named} --fix" in commands
        assert f"uncuda rehearse --target ascend -m pytest {project}" in commands
        assert f"uncuda rehearse --target ascend {project / 'train.py'}" in commands
        assert "0 ties gone, 0 new" in audit(here, named, "--compare", "../old.json").stdout
    assert "github.com/someone/proj/blob/" in audit(here, str(project), "--output-format", "html").stdout
    sarif = json.loads(audit(here, str(project), "--output-format", "sarif").stdout)["runs"][0]
    place = sarif["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    base = sarif["originalUriBaseIds"][place["uriBaseId"]]["uri"]
    assert base == project.as_uri() + "/" and (project / place["uri"]).is_file()
    old = json.loads((tmp_path / "old.json").read_text())
    for item in old["ties"]:
        item["path"] = f"{project}/{item['path']}"
    (tmp_path / "old.json").write_text(json.dumps(old))
    assert "0 ties gone, 0 new" in audit(here, str(project), "--compare", "../old.json").stdout
    assert len(report(here, str(project), "--history", "HEAD")["trend"]) == 1


def git(root: Path, *words: str, day: int = 1) -> None:
    moment = f"2026-01-{day:02d}T12:00:00+00:00"
    environment = {**os.environ, "GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment}
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True, env=environment)


def test_history_is_read_from_objects(project: Path) -> None:
    git(project, "init", "-q")
    for day, text in ((1, TRAIN), (2, TRAIN + "x.cuda()\n"), (20, "import torch\n"), (21, UNUSED)):
        (project / "train.py").write_text(text)
        git(project, "add", ".")
        git(project, "commit", "-qm", f"day {day}", day=day)
    (project / "train.py").write_text("import torch\ntorch.cuda.synchronize()\n# not committed\n")
    before = (project / "train.py").read_text()
    trend = report(project, "--history", "HEAD~3..HEAD")["trend"]
    assert [p["day"] for p in trend] == ["2026-01-01", "2026-01-02", "2026-01-20", "2026-01-21"]
    ties = [p["ties"] for p in trend]
    assert ties[1] == ties[0] + 1
    assert ties[2:] == [1, 2]
    spaced = report(project, "--history", "HEAD~3..HEAD", "--every", "10d")["trend"]
    assert [p["day"] for p in spaced] == ["2026-01-01", "2026-01-20", "2026-01-21"]
    assert (project / "train.py").read_text() == before
    assert (
        "Trend"
        in audit(
            project,
            "--history",
            "HEAD~3..HEAD",
            "--output-file",
            "html=o.html",
            "--output-format",
            "terminal",
        ).stdout
    )
    assert "<polyline" in (project / "o.html").read_text()
    assert "nonsense" in audit(project, "--history", "nonsense..HEAD", expect=2).stderr
    assert "--every" in audit(project, "--every", "3d", expect=2).stderr


def test_commits_are_spread_evenly() -> None:
    commits = [(str(n), n * 86_400) for n in range(500)]
    chosen = spread(commits, None)
    assert len(chosen) == 240
    assert (chosen[0], chosen[-1]) == (commits[0], commits[-1])
    assert spread(commits[:3], None) == commits[:3]
    assert len(spread(commits, 100)) == 6
    assert spread([], 5) == []


def test_sparklines() -> None:
    assert sparkline([0, 4, 8]) == "▁▅█"
    assert sparkline([0, 0]) == "▁▁"
    assert curve([0, 2], 100, 10) == "0.0,10.0 100.0,0.0"


def test_bad_input(tmp_path: Path) -> None:
    assert "nothing to look at" in audit(tmp_path, expect=2).stderr
    (tmp_path / "bad.py").write_bytes(b"\xff\xfe\x00 cuda")
    (tmp_path / "good.py").write_text(UNUSED)
    done = audit(tmp_path, "--output-format", "json", expect=2)
    content = json.loads(done.stdout)
    assert [p["path"] for p in content["problems"]] == ["bad.py"]
    assert [t["path"] for t in content["ties"]] == ["good.py"]
    assert "FORMAT=PATH" in audit(tmp_path, "--output-file", "nonsense", expect=2).stderr
    assert "there is no file" in audit(tmp_path, "--entry", "gone.py", expect=2).stderr


def test_every_rule_has_a_kind_of_its_own() -> None:
    assert {kind_of(info.code) for info in catalogue() if not info.housekeeping} <= set(KINDS[:-1])
    assert kind_of("UC101").key == "moves"
    assert kind_of("UC104").key == "device-text"


def test_web_addresses() -> None:
    assert web_address("git@github.com:a/b.git", "abc") == "https://github.com/a/b/blob/abc"
    assert web_address("https://user:secret@gitlab.com/a/b/c.git", "abc", "sub/") == (
        "https://gitlab.com/a/b/c/-/blob/abc/sub"
    )
    assert web_address("/srv/git/b", "abc") is None
    assert web_address("https://git.example.org/a/b", "abc") is None


def test_treemap_fills_the_area() -> None:
    weights = [50.0, 20, 20, 5, 3, 1, 1, 0]
    boxes = treemap(weights, 100, 40)
    assert len(boxes) == 7
    assert sum(b.width * b.height for b in boxes) == pytest.approx(4000)
    for box in boxes:
        assert box.width * box.height == pytest.approx(40 * weights[box.number])
        assert box.x >= 0
        assert box.x + box.width <= 100.001
        assert box.y + box.height <= 40.001
    assert treemap([], 10, 10) == []


def test_days_are_a_range() -> None:
    assert days(0).high == 0
    assert (days(10).low, days(10).high) == (2.5, 7.5)


def test_importers_are_those_that_load_a_module(tmp_path: Path) -> None:
    files = {
        "a.py": '"""from kernels import x"""\nimport os\nfrom kernels import (  # all\n    one,\n)\n',
        "b.py": "import os, \\\n    kernels\n",
        "c.py": "def f():\n    from kernels import one\n",
        "d.py": "try:\n    import kernels\nexcept ImportError:\n    pass\n",
        "pkg/__init__.py": "",
        "pkg/e.py": "from . import ops\nfrom .ops import add as plus\n",
        "pkg/ops.py": "",
        "kernels.py": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    root = tmp_path.resolve()
    found = importers({root / "kernels.py", root / "pkg/ops.py"}, [root / name for name in files])
    assert {
        str(p.relative_to(root)): [(str(b.relative_to(root)), row) for b, row in at]
        for p, at in found.items()
    } == {
        "kernels.py": [("a.py", 3), ("b.py", 1)],
        "pkg/ops.py": [("pkg/e.py", 1), ("pkg/e.py", 2)],
    }


def test_what_a_newer_torch_would_give_is_said(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("torch>=2.1\n")
    (tmp_path / "train.py").write_text(
        "import torch\n\nx = torch.zeros(2).cuda()\ntorch.cuda.set_device(0)\n"
    )
    for words in ((), ("--output-format", "markdown"), ("--output-format", "html")):
        said = " ".join(audit(tmp_path, *words).stdout.split())
        assert "2 have a fix from torch 2.6 on (the floor here is 2.1)" in said
    (tmp_path / "requirements.txt").write_text("torch>=2.6\n")
    assert "from torch" not in audit(tmp_path).stdout

"""`uncuda rehearse` through the real command line: programs run on a simulated accelerator, and what is said of them."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import pytest
from command import uncuda
from conftest import write
from rehearsing import Rehearsed, rehearse

import uncuda as package
from uncuda.cli.rehearse import exit_code
from uncuda.findings import Target
from uncuda.rehearse import as_json, as_text
from uncuda.rehearse.devices import device_of
from uncuda.rehearse.judge import Judge
from uncuda.rehearse.launch import Ending
from uncuda.rehearse.model import Rehearsal, Verdict
from uncuda.rehearse.notes import Line, Notes, Raised, Seen
from uncuda.report.ansi import Style

INSIDE = Path(package.__file__).parent / "rehearse"


def program(folder: Path, text: str, *arguments: str) -> Rehearsed:
    """Rehearses a text as `program.py`; `arguments` are uncuda's."""
    write(folder, {"program.py": textwrap.dedent(text)})
    return rehearse(folder, *arguments, "program.py")


# -- verdicts ------------------------------------------------------------------------------------------------


def test_a_portable_program_runs_on_the_accelerator(tmp_path: Path) -> None:
    done = program(
        tmp_path,
        """\
        import sys

        import torch

        device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
        model = torch.nn.Linear(3, 2).to(device)
        model(torch.ones(4, 3, device=device)).sum().backward()
        print(device, model.weight.grad.device)
        print("a note", file=sys.stderr)
        """,
        "--target",
        "mlu",
    )
    assert done.code == 0
    assert done.out == "mlu mlu:0\n"
    assert done.err == "a note\n"
    assert done.report["verdict"] == "ran"
    assert done.report["way"] == "simulated"
    assert done.report["touches"] == []
    assert done.report["operators"]["aten::addmm.out"] == 1
    assert done.report["computed_on_cpu"] == []


def test_what_a_program_asks_of_cuda_is_told_by_line(tmp_path: Path) -> None:
    done = program(
        tmp_path,
        """\
        import torch
        from torch.cuda import device_count
        from torch.cuda.amp import autocast

        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model = torch.nn.Linear(3, 2).to(device)
        torch.cuda.empty_cache()
        torch.cuda.manual_seed(0)
        torch.cuda.max_memory_allocated()
        with autocast():
            y = model(torch.ones(4, 3))
        torch.amp.GradScaler("cuda")
        torch.backends.cudnn.benchmark = True
        assert not y.is_cuda
        scaled = torch.cuda.amp.GradScaler(enabled=False).scale(y)
        later = torch.device("cuda:1")
        for send in (
            lambda: model.to("cuda"),
            lambda: model.cuda(),
            lambda: y.cuda(),
            lambda: torch.ones(2, device="cuda"),
            lambda: y.type("torch.cuda.FloatTensor"),
            lambda: torch.distributed.init_process_group("nccl"),
            lambda: torch.set_default_device("cuda"),
        ):
            try:
                send()
            except Exception as error:
                print(type(error).__name__)
        """,
    )
    assert done.touches >= {
        ("torch.cuda.device_count", 2),
        ("torch.cuda.amp.autocast", 3),
        ("torch.cuda.is_available", 5),
        ("torch.cuda.empty_cache", 7),
        ("torch.cuda.manual_seed", 8),
        ("torch.cuda.max_memory_allocated", 9),
        ('torch.amp.GradScaler("cuda")', 12),
        ("torch.backends.cudnn.benchmark", 13),
        ("torch.Tensor.is_cuda", 14),
        ("torch.cuda.amp.GradScaler", 15),
        ('torch.device("cuda")', 16),
        ('torch.nn.Module.to("cuda")', 18),
        ("torch.nn.Module.cuda", 19),
        ("torch.Tensor.cuda", 20),
        ('torch.ones(device="cuda")', 21),
        ("torch.Tensor.type(torch.cuda.*Tensor)", 22),
        ('torch.distributed.init_process_group(backend="nccl")', 23),
        ('torch.device("cuda")', 24),
    }
    assert {line for _, line in done.touches} == {2, 3, 5, 7, 8, 9, 12, 13, 14, 15, 16, *range(18, 25)}
    rules = {touch["line"]: touch["rule"] for touch in done.report["touches"] if touch["rule"] is not None}
    assert (rules[5]["code"], rules[5]["outcome"]) == ("UC201", "silent-cpu")
    assert (rules[7]["code"], rules[7]["outcome"]) == ("UC211", "degraded")
    assert ("torch.cuda.is_available", 5) in done.hurting
    assert ("torch.cuda.empty_cache", 7) not in done.hurting
    # It had a device and did not use it.
    assert done.report["verdict"] == "stayed-on-cpu"
    assert {(seen["what"], seen["line"]) for seen in done.report["computed_on_cpu"]} == {("linear", 11)}
    assert done.code == 1


def test_a_failure_is_told_with_its_line_and_rule(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "nets.py": "import torch\n\n\ndef build():\n    return torch.nn.Linear(3, 2).cuda()\n",
            "program.py": "import nets\n\nnets.build()\n",
        },
    )
    done = rehearse(tmp_path, "program.py", "--fast")
    assert (done.code, done.report["verdict"]) == (1, "failed")
    assert done.report["command"] == ["program.py", "--fast"]
    failure = done.report["failure"]
    assert failure["error"] == "AssertionError"
    assert failure["text"] == "Torch not compiled with CUDA enabled"
    places = [
        (Path(line["file"]).name, line["line"]) for line in failure["lines"] if line["owner"] == "project"
    ]
    assert places == [("nets.py", 5), ("program.py", 3)]
    assert failure["rule"]["code"] == "UC101"
    assert "uncuda check --target ascend --fix nets.py" in done.report["next"]
    assert done.report["summary"] == "it failed at nets.py:5: AssertionError"


def test_a_tensor_left_behind_is_found(tmp_path: Path) -> None:
    done = program(
        tmp_path,
        """\
        import torch

        model = torch.nn.Linear(3, 2).to(torch.accelerator.current_accelerator())
        x = torch.ones(4, 3)
        model(x)
        """,
    )
    assert (done.code, done.report["verdict"]) == (1, "failed")
    assert "Expected all tensors to be on the same device" in done.report["failure"]["text"]
    assert [(seen["what"], seen["line"]) for seen in done.report["mixed_devices"]] == [("linear", 5)]
    assert done.report["next"][0].startswith("A tensor or a module was left on the CPU")


def judged(
    folder: Path, text: str, *touches: tuple[str, int], code: int = 0, strict: bool = False
) -> Rehearsal:
    """What is said of a program that asked for these things on these lines, and used the device."""
    write(folder, {"program.py": text})
    file = str(folder / "program.py")
    notes = Notes(way="simulated", torch="2.13.0", operators=Counter({"aten::add": 2}))
    notes.touches = [Seen(symbol, Line(file, line), 1) for symbol, line in touches]
    judge = Judge(Target.ASCEND, strict=strict)
    return judge.rehearsal(notes, Ending(code, 1.0), ["program.py"], device_of(Target.ASCEND), 1)


def test_what_is_harmless_or_handled_doesnt_count_unless_asked_for(tmp_path: Path) -> None:
    text = "import torch\n\ntorch.cuda.manual_seed(0)\nif False:\n    torch.cuda.synchronize()\n"
    seed, wait = ("torch.cuda.manual_seed", 3), ("torch.cuda.synchronize", 5)
    assert judged(tmp_path, text, seed).verdict is Verdict.RAN
    assert judged(tmp_path, text, seed, strict=True).verdict is Verdict.TIED
    both = judged(tmp_path, text, seed, wait)
    assert both.verdict is Verdict.TIED
    assert [(t.symbol, t.hurts) for t in both.touches] == [(wait[0], True), (seed[0], False)]
    silenced = text.replace("synchronize()", "synchronize()  # uncuda: ignore[UC206] CUDA alone gets here")
    assert judged(tmp_path, silenced, seed, wait).verdict is Verdict.RAN
    assert judged(tmp_path, text, seed, code=3).verdict is Verdict.FAILED


def test_a_model_on_the_cpu_stays_there_whatever_else_is_on_the_device(tmp_path: Path) -> None:
    def verdict(operators: dict[str, int], on_cpu: list[str]) -> Verdict:
        notes = Notes(way="simulated", operators=Counter(operators))
        notes.computed_on_cpu = [Seen(name, Line("a.py", 1), 1) for name in on_cpu]
        judge = Judge(Target.ASCEND, strict=False)
        return judge.rehearsal(notes, Ending(0, 1.0), ["a.py"], device_of(Target.ASCEND), 1).verdict

    assert verdict({}, []) is Verdict.STAYED
    assert verdict({"aten::add.out": 3}, []) is Verdict.RAN
    assert verdict({"aten::add.out": 3}, ["linear"]) is Verdict.STAYED
    assert verdict({"aten::addmm.out": 3}, ["linear"]) is Verdict.RAN


def test_a_device_that_cant_be_simulated_is_a_failure_of_the_tool(tmp_path: Path) -> None:
    notes = Notes(way="watched", broken="RuntimeError: taken")
    found = Judge(Target.ASCEND, strict=False).rehearsal(
        notes, Ending(0, 1.0), ["a.py", "-x"], device_of(Target.ASCEND), 1
    )
    text = as_text.render(found, Style())
    assert "\n  the device could not be simulated: RuntimeError: taken\n" in text
    assert "\n  Watch without a device: uncuda rehearse --watch-only a.py -x\n" in text
    assert exit_code(found) == 2


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        (
            "Expected all tensors to be on the same device, but found at least two devices",
            "A tensor or a module was",
        ),
        ("the simulated device has dense tensors only, not torch.sparse_coo", "The simulation lacks this"),
        ("Could not run 'aten::x' with arguments from the 'Sparsenpu' backend.", "The simulation lacks this"),
        ("Could not run 'aten::x' with arguments from the 'CUDA' backend.", ""),
        ("Torch not compiled with CUDA enabled", ""),
    ],
)
def test_what_an_exception_most_likely_means(tmp_path: Path, text: str, advice: str) -> None:
    notes = Notes(way="simulated", raised=[Raised("RuntimeError", text, (), 0.0)])
    found = Judge(Target.ASCEND, strict=False).rehearsal(
        notes, Ending(1, 1.0), ["a.py"], device_of(Target.ASCEND), 1
    )
    assert found.failure is not None
    assert found.failure.advice.startswith(advice) and bool(found.failure.advice) == bool(advice)


def test_the_report_for_people(tmp_path: Path) -> None:
    found = judged(tmp_path, "import torch\n\ntorch.cuda.synchronize()\n", ("torch.cuda.synchronize", 3))
    text = as_text.render(found, Style())
    assert "\n  it ran, but 1 line asks for CUDA\n  torch 2.13.0 on a simulated npu, 1.0 s\n" in text
    assert f"\n  {tmp_path}/program.py:3: torch.cuda.synchronize UC206 crash: " in text
    assert "[safe fix]" in text
    assert f"\n  uncuda check --target ascend --fix {tmp_path}/program.py\n" in text
    assert "\x1b[" not in text
    assert "\x1b[31;1mit ran, but 1 line asks for CUDA" in as_text.render(found, Style(color=True))


def test_what_a_program_says_cant_reach_the_terminal_raw(tmp_path: Path) -> None:
    notes = Notes(way="simulated", raised=[Raised("Bad\x1b[2J", "\x1b]0;title\x07\nmore", (), 0.0)])
    found = Judge(Target.ASCEND, strict=False).rehearsal(
        notes, Ending(1, 1.0), ["a\x1b[2J.py"], device_of(Target.ASCEND), 1
    )
    assert "\x1b" not in as_text.render(found, Style())
    assert "\x1b" not in as_json.render(found)


def test_without_a_device_torch_cuda_is_watched(tmp_path: Path) -> None:
    done = program(
        tmp_path,
        """\
        import torch

        if torch.cuda.is_available():
            print("CUDA")
        print(torch.accelerator.is_available(), torch.ones(2).add(1))
        """,
        "--watch-only",
    )
    assert done.out == "False tensor([2., 2.])\n"
    assert (done.report["way"], done.report["why"]) == ("watched", "it was asked for")
    assert done.touches == {("torch.cuda.is_available", 3)}
    assert any("there was none" in text for text in done.report["blind"])
    on_cpu = rehearse(tmp_path, "--target", "cpu", "program.py")
    assert (on_cpu.report["way"], on_cpu.report["why"]) == ("watched", "the target is the CPU")


# -- a program sees no difference ----------------------------------------------------------------------------

SEES = """\
import json, os, sys, subprocess
print(json.dumps([__name__, sys.argv, sys.path, getattr(sys.modules["__main__"], "__spec__", None) is None]))
print(os.environ.get("MINE"), "torch" in sys.modules)
if len(sys.argv) < 3:
    subprocess.run([sys.executable, "-c", "import sys; print(sys.path[0] == '', 'torch' in sys.modules)"], check=True)
sys.exit(7)
"""


@pytest.mark.parametrize(
    "words", [("tool/main.py", "-x", "--devices"), ("-m", "tool.main", "a b"), ("tool",)]
)
def test_a_program_sees_what_it_sees_in_plain_python(tmp_path: Path, words: tuple[str, ...]) -> None:
    write(tmp_path, {"tool/main.py": SEES, "tool/__main__.py": SEES, "tool/__init__.py": ""})
    env = {**os.environ, "MINE": "mine", "PYTHONDONTWRITEBYTECODE": "1"}
    plain = subprocess.run(
        [sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, env=env, check=False
    )
    report = tmp_path / "report.txt"
    done = subprocess.run(
        [sys.executable, "-m", "uncuda", "rehearse", "--output-file", str(report), *words],
        cwd=tmp_path, capture_output=True, text=True, env=env, check=False,
    )  # fmt: skip
    assert plain.returncode == 7
    assert (done.stdout, done.stderr) == (plain.stdout, plain.stderr)
    assert done.returncode == 1
    assert "it ended with exit code 7" in report.read_text()


def test_a_sitecustomize_of_the_project_still_runs(tmp_path: Path) -> None:
    write(tmp_path, {"site/sitecustomize.py": "import os\nos.environ['RAN'] = 'yes'\n"})
    write(tmp_path, {"program.py": "import os\nprint(os.environ['RAN'])\n"})
    done = rehearse(tmp_path, "program.py", env={"PYTHONPATH": str(tmp_path / "site")})
    assert done.out == "yes\n"


def test_a_program_without_torch_proves_nothing(tmp_path: Path) -> None:
    done = program(tmp_path, "print(1)\n")
    assert (done.code, done.report["verdict"], done.out) == (1, "no-torch", "1\n")
    assert done.report["next"]


# -- other ways to end ---------------------------------------------------------------------------------------


def test_a_native_crash_is_told(tmp_path: Path) -> None:
    done = program(
        tmp_path,
        """\
        import ctypes

        def down():
            ctypes.string_at(0)

        down()
        """,
    )
    assert (done.code, done.report["verdict"]) == (1, "crashed")
    assert done.report["failure"]["error"] == "SIGSEGV"
    own = [line["line"] for line in done.report["failure"]["lines"] if line["owner"] == "project"]
    assert own == [4, 6]
    assert done.report["summary"].endswith("program.py:4: SIGSEGV")


def test_a_program_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    done = program(
        tmp_path,
        """\
        import subprocess, sys, time

        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        time.sleep(600)
        """,
        "--timeout",
        "1.5",
    )
    assert (done.code, done.report["verdict"]) == (1, "timed-out")
    assert 1 < done.report["seconds"] < 30


def test_an_interrupt_ends_the_program_and_is_told(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "program.py": "import pathlib, time\ntry:\n    pathlib.Path('begun').touch()\n    time.sleep(600)\n"
            "finally:\n    print('cleaned up')\n"
        },
    )
    done = rehearse(tmp_path, "program.py", interrupt_after=tmp_path / "begun")
    assert (done.code, done.report["verdict"], done.out) == (130, "interrupted", "cleaned up\n")


# -- what is refused -----------------------------------------------------------------------------------------


def python(folder: Path, answer: str) -> str:
    """Something that answers like a Python of another kind."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\necho '{answer}'\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.skipif(os.name == "nt", reason="the stand-ins for Pythons are shell scripts")
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            '{"python": [3, 11, 0], "torch": null}',
            r"torch isn't installed in .*; --python PATH names .* pip install torch",
        ),
        (
            '{"python": [3, 7, 1], "torch": "1.13"}',
            r"is Python 3\.7\.1; a rehearsal needs 3\.8 or newer; --python PATH",
        ),
        (
            '{"python": [3, 9, 0], "torch": "1.13.1+cu117"}',
            r"has torch 1\.13\.1\+cu117; a rehearsal needs 2\.0 or newer",
        ),
        ("no JSON", r"isn't a Python that can run a program; --python PATH"),
    ],
)
def test_a_python_that_cant_rehearse(tmp_path: Path, answer: str, message: str) -> None:
    write(tmp_path, {"program.py": "raise SystemExit('it ran')\n"})
    done = uncuda("rehearse", "--python", python(tmp_path, answer), "program.py", cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert re.fullmatch(rf"uncuda: error: .*{message}.*\n", done.err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "there is no program to run; name a script, or -m MODULE"),
        (("--", "--devices"), "there is no file '--devices'"),
        (("missing.py",), "there is no file 'missing.py'"),
        (("-m",), "-m needs the name of a module"),
        (
            ("book.ipynb",),
            "book.ipynb is a notebook; make a script of it first: jupyter nbconvert --to script book.ipynb",
        ),
        (
            ("--python", "no/python", "a.py"),
            "no/python can't be run (No such file or directory); --python PATH names",
        ),
        (
            ("--target", "xpu", "a.py"),
            "xpu can't be simulated: torch keeps the name 'xpu' for a device of its own",
        ),
        (("--target", "mps", "a.py"), "mps can't be simulated"),
        (("--target", "xla", "a.py"), "xla can't be simulated"),
        (("--target", "rocm", "a.py"), "on ROCm torch.cuda is the device, so there is nothing to rehearse"),
        (("--target", "cuda", "a.py"), "invalid choice: 'cuda'"),
        (("--devices", "0", "a.py"), "must be a number from 1 to 8, not '0'"),
        (("--devices", "two", "a.py"), "must be a number from 1 to 8, not 'two'"),
        (("--timeout", "-1", "a.py"), "must be a number of seconds, not '-1'"),
        (("--timeout", "soon", "a.py"), "must be a number of seconds, not 'soon'"),
        (("--no-such-option", "a.py"), "unrecognized arguments: --no-such-option"),
        (("--output-file", "a.py/report", "a.py"), "a.py/report can't be written"),
    ],
)
def test_what_cant_be_done_is_said(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    write(tmp_path, {"a.py": "", "book.ipynb": "{}"})
    done = uncuda("rehearse", *arguments, cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_the_help_says_that_the_program_is_run(tmp_path: Path) -> None:
    done = uncuda("rehearse", "--help", cwd=tmp_path)
    assert done.code == 0
    assert "This command RUNS the program" in done.out
    assert "no other command of uncuda runs the code it looks at" in done.out


# -- what the program's own Python needs ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [*sorted((INSIDE / "inside").glob("*.py")), INSIDE / "hook" / "sitecustomize.py"],
    ids=lambda p: p.name,
)
def test_what_runs_in_the_program_is_for_any_python(path: Path) -> None:
    """Python 3.8's grammar, and no name of uncuda's: it may not be installed there."""
    tree = ast.parse(path.read_text("utf-8"), feature_version=(3, 8))
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names.append(node.module or "")
        for name in names:
            assert name.partition(".")[0] in {*sys.stdlib_module_names, "torch"}, name


def test_the_other_commands_know_nothing_of_it(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "import torch\n"})
    code = (
        "import sys; from uncuda.cli import main; main(['check', 'a.py', '--no-cache']);"
        "print([m for m in sys.modules if m == 'torch' or 'rehearse' in m])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"

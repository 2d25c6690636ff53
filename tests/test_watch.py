"""`uncuda check --watch`, as a real process over real changes."""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from uncuda.cli.watch import relevant

TIE = "import torch\n\nx = torch.ones(1).cuda()\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to one process")
def test_watch(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "uncuda", "check", "--watch", "--output-format", "concise"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in process.stdout or ():
            lines.put(line)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()

    def wait_for(word: str) -> list[str]:
        seen: list[str] = []
        while not seen or word not in seen[-1]:
            seen.append(lines.get(timeout=60))
        return seen

    def change(text: str) -> list[str]:
        """Writes the file until the watcher, which may only be starting, takes notice."""
        for number in range(60):
            (tmp_path / "a.py").write_text(f"{text}# {number}\n")
            try:
                first = lines.get(timeout=1)
            except queue.Empty:
                continue
            return [first] if "watching" in first else [first, *wait_for("watching")]
        raise AssertionError("no change was noticed")

    def settle() -> None:
        """Waits until the checks of all writes are done: one that is interrupted ends otherwise."""
        with suppress(queue.Empty):
            while True:
                lines.get(timeout=3)

    try:
        wait_for("watching")
        assert any("UC101" in line for line in change(TIE))
        assert not any("UC101" in line for line in change("x = 2\n"))
        assert any("UC101" in line for line in change(TIE))
        settle()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 1
    finally:
        process.kill()
    reader.join(10)
    assert "Traceback" not in "".join(lines.queue)


def test_what_is_watched() -> None:
    assert relevant("/p/a.py")
    assert relevant("/p/uncuda.toml")
    assert relevant("/p/requirements-dev.txt")
    assert not relevant("/p/.uncuda_cache/x.json")
    assert not relevant("/p/.git/index")
    assert not relevant("/p/a.txt")


def test_watch_only_reports(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "uncuda", "check", "--watch", "--fix"], cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--watch only reports" in done.stderr

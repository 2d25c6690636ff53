"""What the command line writes to its streams: any encoding, readers that go away, the progress bar."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import time

import pytest

from uncuda.cli import check
from uncuda.cli.output import write

ODD = "日本 \ud800 é"


def python(code: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("encoding", "want"),
    [
        ("utf-8", "日本 \\ud800 é\n".encode()),
        ("latin-1", "\\u65e5\\u672c \\ud800 é\n".encode("latin-1")),
        ("ascii", b"\\u65e5\\u672c \\ud800 \\xe9\n"),
    ],
)
def test_every_encoding_carries_every_text(encoding: str, want: bytes) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    write(f"{ODD}\n", stream)
    assert raw.getvalue() == want


def test_line_breaks_are_written_as_they_are() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="utf-8", newline="\r\n")
    write("a\r\nb\n", stream)
    assert raw.getvalue() == b"a\r\nb\n"


def test_a_stream_without_bytes_below_takes_text() -> None:
    stream = io.StringIO()
    write("x\n", stream)
    assert stream.getvalue() == "x\n"


def test_a_reader_that_has_gone_is_no_error() -> None:
    code = (
        "import sys\nfrom uncuda.cli.output import write\n"
        "for _ in range(50):\n    write('x' * 100_000 + '\\n')\nprint('end', file=sys.stderr)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b"end\n"
    assert process.wait(30) == 0


# -- the progress bar --------------------------------------------------------------------------------------


def on_terminal(code: str) -> str:
    """What a program writes to standard error when that is a terminal."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stderr=theirs, stdout=subprocess.PIPE, env=environ
    )
    os.close(theirs)
    data = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        data += piece
    assert process.wait(60) == 0
    os.close(ours)
    return data.decode()


STEPS = """
import sys, time
from uncuda.cli.progress import Progress
bar = Progress(40)
for done in range(1, 5):
    bar.step(done, 40)
{wait}
bar.step(20, 40)
print("rich.progress" in sys.modules)
bar.stop()
"""


def test_a_quick_run_shows_no_bar_and_loads_none() -> None:
    assert on_terminal(STEPS.format(wait="")) == ""
    assert python(STEPS.format(wait="")).stdout == b"False\n"


def test_a_run_of_half_a_second_shows_how_far_it_is_and_takes_the_bar_away() -> None:
    shown = on_terminal(STEPS.format(wait="time.sleep(0.55)"))
    assert "20/40" in shown and "files" in shown
    assert shown.rstrip().endswith("\x1b[2K"), "the line is cleared in the end"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "quiet", "total", "want"),
    [
        (Terminal(), False, 50, True),
        (Terminal(), True, 50, False),
        (Terminal(), False, 1, False),
        (io.StringIO(), False, 50, False),
    ],
    ids=["terminal", "quiet", "one-file", "no-terminal"],
)
def test_who_gets_a_bar(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, quiet: bool, total: int, want: bool
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    assert (check.progress(total=total, quiet=quiet) is not None) is want


def test_the_bar_is_redrawn_ten_times_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    from uncuda.cli.progress import Progress

    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    bar = Progress(1000)
    drawn = 0
    for done in range(1000):
        now += 0.01
        bar.step(done, 1000)
        if bar._bar is not None and bar._last == now:
            drawn += 1
    bar.stop()
    assert 80 <= drawn <= 100

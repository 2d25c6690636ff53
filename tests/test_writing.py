"""A file is written whole or not at all, and stays what it was but for its content."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uncuda import writing
from uncuda.writing import write_atomically

posix = pytest.mark.skipif(os.name == "nt", reason="modes and links of POSIX")


def others(folder: Path) -> list[str]:
    """What is left behind."""
    return sorted(p.name for p in folder.iterdir() if p.name.startswith(".uncuda"))


def test_content_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"old")
    write_atomically(path, b"new\r\n\x00\xff")
    assert path.read_bytes() == b"new\r\n\x00\xff"
    assert others(tmp_path) == []


@given(data=st.binary(max_size=300))
def test_any_bytes_are_written_as_they_are(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("w") / "a.py"
    write_atomically(path, data)
    assert path.read_bytes() == data


def test_a_new_file_is_made(tmp_path: Path) -> None:
    write_atomically(tmp_path / "new.py", b"x")
    assert (tmp_path / "new.py").read_bytes() == b"x"


@posix
@pytest.mark.parametrize("mode", [0o644, 0o600, 0o755, 0o664, 0o640, 0o2755])
def test_the_mode_stays(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"old")
    path.chmod(mode)
    write_atomically(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == mode


@posix
def test_a_link_stays_a_link_and_its_target_is_rewritten(tmp_path: Path) -> None:
    folder = tmp_path / "real"
    folder.mkdir()
    target = folder / "a.py"
    target.write_bytes(b"old")
    target.chmod(0o750)
    middle = tmp_path / "middle.py"
    middle.symlink_to(target)
    link = tmp_path / "link.py"
    link.symlink_to("middle.py")
    write_atomically(link, b"new")
    assert link.is_symlink() and os.readlink(link) == "middle.py"
    assert middle.is_symlink()
    assert target.read_bytes() == b"new" and not target.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o750
    assert others(tmp_path) == others(folder) == []


@posix
def test_another_name_of_the_file_keeps_the_old_content(tmp_path: Path) -> None:
    path, twin = tmp_path / "a.py", tmp_path / "b.py"
    path.write_bytes(b"old")
    os.link(path, twin)
    write_atomically(path, b"new")
    assert twin.read_bytes() == b"old"


@posix
@pytest.mark.parametrize("mode", [0o444, 0o400, 0o555])
def test_a_read_only_file_is_left_alone(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"old")
    path.chmod(mode)
    with pytest.raises(PermissionError) as caught:
        write_atomically(path, b"new")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert others(tmp_path) == []


@posix
def test_a_file_in_a_read_only_directory_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "shut"
    folder.mkdir()
    path = folder / "a.py"
    path.write_bytes(b"old")
    folder.chmod(0o555)
    try:
        with pytest.raises(PermissionError):
            write_atomically(path, b"new")
        assert path.read_bytes() == b"old"
    finally:
        folder.chmod(0o755)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught:
        write_atomically(tmp_path, b"new")
    assert caught.value.filename == str(tmp_path)


@posix
@pytest.mark.skipif(sys.platform == "win32", reason="needs named pipes")
def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="plain file"):
        write_atomically(tmp_path / "pipe", b"new")


def test_a_missing_directory_is_told_of_the_file_that_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "no" / "a.py"
    with pytest.raises(FileNotFoundError) as caught:
        write_atomically(path, b"new")
    assert caught.value.filename == str(path)


@pytest.mark.parametrize("failing", ["replace", "_take_over"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_goes_wrong_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, error: BaseException
) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(os if failing == "replace" else writing, failing, fail)
    with pytest.raises(type(error)):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert others(tmp_path) == []


def test_a_reader_sees_old_or_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"old")
    seen: list[bytes] = []
    replace = os.replace

    def watched(source: str, target: str) -> None:
        seen.append(path.read_bytes())
        replace(source, target)
        seen.append(path.read_bytes())

    monkeypatch.setattr(os, "replace", watched)
    write_atomically(path, b"new")
    assert seen == [b"old", b"new"]

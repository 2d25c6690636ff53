"""Writes a file whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

_ANY_WRITE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Replaces a file's content, or makes the file: a reader sees the old bytes or the new, never a part.

    Mode and (where allowed) owner stay. A symbolic link stays a link: its target is rewritten. Whatever goes
    wrong, an interrupt included, the old file is whole and no other file is left behind.

    Raises PermissionError for a file or directory that is marked read-only, and OSError for what the system
    refuses or what isn't a plain file.
    """
    target = Path(os.path.realpath(path))
    try:
        before = os.stat(target)
    except FileNotFoundError:
        before = None
    if before is not None:
        _refuse(target, before)
    folder = target.parent
    # Short, so that it fits where the file's own name does; hidden, and no name that a checker looks at.
    temporary = folder / f".uncuda-{secrets.token_hex(8)}.tmp"
    try:
        _write_new(temporary, data, before)
        os.replace(temporary, target)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.filename == os.fspath(temporary):
            raise _about(error, target) from error
        raise


def _refuse(target: Path, info: os.stat_result) -> None:
    if stat.S_ISDIR(info.st_mode):
        raise IsADirectoryError(errno.EISDIR, "is a directory", os.fspath(target))
    if not stat.S_ISREG(info.st_mode):
        raise OSError(errno.EINVAL, "is not a plain file", os.fspath(target))
    # The mode is asked, not only the system: root may write to everything, and still shouldn't.
    if not info.st_mode & _ANY_WRITE or not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "is read-only", os.fspath(target))
    folder = os.stat(target.parent)
    if os.name != "nt" and not folder.st_mode & _ANY_WRITE:
        raise PermissionError(errno.EACCES, "its directory is read-only", os.fspath(target))


def _write_new(temporary: Path, data: bytes, like: os.stat_result | None) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    # Until it has its final mode nobody else may read what may be a private file.
    handle = os.open(temporary, flags, 0o666 if like is None else 0o600)
    with open(handle, "wb") as stream:
        stream.write(data)
        if like is not None:
            _take_over(stream.fileno(), temporary, like)


def _take_over(handle: int, temporary: Path, like: os.stat_result) -> None:
    """Gives the new file the owner (if allowed) and the mode of the old one."""
    if hasattr(os, "fchown"):
        now = os.fstat(handle)
        if (now.st_uid, now.st_gid) != (like.st_uid, like.st_gid):
            # The group may be ours to give where the owner isn't.
            for owner, group in ((like.st_uid, like.st_gid), (-1, like.st_gid)):
                try:
                    os.fchown(handle, owner, group)
                    break
                except OSError:
                    continue
    # After the owner: changing that takes set-user-ID bits away.
    if hasattr(os, "fchmod"):
        os.fchmod(handle, stat.S_IMODE(like.st_mode))
    else:
        os.chmod(temporary, stat.S_IMODE(like.st_mode))


def _about(error: OSError, target: Path) -> OSError:
    """The error told of the file that was to be written: nobody knows the temporary one."""
    reason = error.strerror or str(error)
    if isinstance(error, PermissionError):
        reason = f"its directory cannot be written to ({reason})"
    return type(error)(error.errno, reason, os.fspath(target))

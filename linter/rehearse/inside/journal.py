"""The notes of a rehearsed process, written line by line, so that a crash loses nothing."""

from __future__ import annotations

import atexit
import json
import os
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

VARIABLE = "UNCUDA_REHEARSAL"
"""The variable of the environment that holds the settings of a rehearsal, as JSON."""
_HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT, LIBRARY = "project", "library"
_SITE = ("site-packages", "dist-packages")


class Place(NamedTuple):
    """A line of code and whose it is: `project`, `library`, `stdlib`, `torch` or `own`."""

    file: str
    line: int
    owner: str


class Journal:
    """Notes of one process. The same thing at the same place is written once, and counted."""

    def __init__(self, settings: Dict[str, Any]) -> None:
        self.settings = settings
        self.quiet = threading.local()
        self._counts: Dict[Tuple[str, ...], int] = {}
        self._ops: Dict[str, int] = {}
        self._owners: Dict[str, str] = {}
        self._stdlib = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
        self._open()

    def _open(self) -> None:
        name = os.path.join(self.settings["folder"], "%d.jsonl" % os.getpid())
        self._file = open(name, "a", encoding="utf-8")  # noqa: SIM115

    def after_fork(self) -> None:
        """A forked process writes its own notes."""
        self._counts, self._ops = {}, {}
        self._open()

    def write(self, kind: str, **fields: Any) -> None:
        """One note."""
        fields["kind"] = kind
        try:
            self._file.write(json.dumps(fields) + "\n")
            self._file.flush()
        except (OSError, ValueError):
            pass  # the folder has gone: so has the one who reads it

    def note(self, kind: str, subject: str, place: Optional[Place], **fields: Any) -> None:
        """A note of `subject` at a place; of many alike the first is written, the others are counted."""
        file, line, owner = place or Place("", 0, "unknown")
        key = (kind, subject, file, str(line))
        seen = self._counts.get(key, 0)
        self._counts[key] = seen + 1
        if not seen:
            self.write(kind, subject=subject, file=file, line=line, owner=owner, **fields)

    def has_noted(self, place: Place) -> bool:
        """Is there a touch of CUDA noted at a place?"""
        return any(k[0] == "touch" and k[2] == place.file and k[3] == str(place.line) for k in self._counts)

    def count_op(self, name: str) -> None:
        """An operator ran on the simulated device."""
        seen = self._ops.get(name, 0)
        self._ops[name] = seen + 1
        if not seen:
            self.write("op", name=name)

    # -- places --------------------------------------------------------------------------------------------

    def owner(self, file: str) -> str:
        """Whose code a file is."""
        found = self._owners.get(file)
        if found is None:
            found = self._owners[file] = self._owner(file)
        return found

    def _owner(self, file: str) -> str:
        if file.startswith("<"):
            # Made by a decorator or typed in: whoever called it counts.
            return "stdlib" if file.startswith("<frozen") else "made"
        path = os.path.abspath(file)
        if path.startswith(_HERE):
            return "own"
        parts = path.split(os.sep)
        for site in _SITE:
            if site in parts:
                below = parts[parts.index(site) + 1 :]
                return "torch" if below[0] in ("torch", "functorch", "torchgen") else LIBRARY
        return "stdlib" if path.startswith(self._stdlib) else PROJECT

    def place(self, *, through_torch: bool = False) -> Optional[Place]:
        """The line that is running now: the innermost one outside of this package.

        None where torch itself is at work; with `through_torch` that counts for whoever called torch.
        """
        frame: Optional[FrameType] = sys._getframe(1)
        while frame is not None:
            owner = self.owner(frame.f_code.co_filename)
            if owner in (PROJECT, LIBRARY):
                return Place(os.path.abspath(frame.f_code.co_filename), frame.f_lineno, owner)
            if owner == "torch" and not through_torch:
                return None
            frame = frame.f_back
        return None

    def own_place(self) -> Optional[Place]:
        """The line of the project that led to what is running now, through whatever libraries."""
        frame: Optional[FrameType] = sys._getframe(1)
        while frame is not None:
            if self.owner(frame.f_code.co_filename) == PROJECT:
                return Place(os.path.abspath(frame.f_code.co_filename), frame.f_lineno, PROJECT)
            frame = frame.f_back
        return self.place(through_torch=True)

    # -- the end -------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Writes how often each thing was seen, and the exception that ends the process."""
        for (kind, subject, file, line), times in self._counts.items():
            if times > 1:
                self.write("times", of=kind, subject=subject, file=file, line=int(line), times=times)
        if self._ops:
            self.write("ops", times=self._ops)
        error = getattr(sys, "last_value", None)
        if isinstance(error, BaseException):
            self.write(
                "raised", time=time.time(), **self.described(error, getattr(sys, "last_traceback", None))
            )
        self.write("end")

    def described(self, error: BaseException, trace: Optional[TracebackType]) -> Dict[str, Any]:
        """An exception with the lines of the program that it went through, the innermost last."""
        lines: List[Place] = []
        while trace is not None:
            file = trace.tb_frame.f_code.co_filename
            owner = self.owner(file)
            if owner in (PROJECT, LIBRARY):
                lines.append(Place(os.path.abspath(file), trace.tb_lineno, owner))
            trace = trace.tb_next
        name = type(error).__name__
        module = type(error).__module__
        try:
            text = str(error)
        except Exception:
            text = ""
        return {
            "error": name if module in ("builtins", "__main__") else module + "." + name,
            "text": text[:4000],
            "places": [list(p) for p in lines[-20:]],
        }


def open_journal() -> Journal:
    """The journal of this process, by the settings in the environment."""
    settings = json.loads(os.environ[VARIABLE])
    journal = Journal(settings)
    journal.write("start", pid=os.getpid(), argv=getattr(sys, "orig_argv", []), python=sys.version.split()[0])
    atexit.register(journal.close)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=journal.after_fork)
    _trace_crashes(settings["folder"])
    return journal


def _trace_crashes(folder: str) -> None:
    """A native crash leaves the Python lines that led to it."""
    import faulthandler

    faulthandler.enable(open(os.path.join(folder, "%d.crash" % os.getpid()), "w"))  # noqa: SIM115

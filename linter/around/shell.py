"""Shell text as commands: words with their places, and what a command stands under. Nothing is run or expanded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_DEPTH = 20

_BLANK = re.compile(r"(?:[ \t]|\\\r?\n)+")
_COMMENT = re.compile(r"#[^\n]*")
_OPERATOR = re.compile(r"\r?\n|;;&?|;&|;|&&|\|\|?&?|&(?![>0-9])|\(\(?|\)")
_REDIRECTION = re.compile(r"(?:\d+|&)?(?:<<<|<<-?|>>|>&|<&|>\||<>|>|<)(?:\d+(?![\w.-])|-(?=\s))?")
_PIECE = re.compile(
    r"'[^']*'|\"(?:\\.|[^\"\\])*\"|\$'(?:\\.|[^'\\])*'|\$\(|`(?:\\.|[^`\\])*`|\$\{[^}]*\}|\\.|[^\s;&|()<>'\"`\\$]+|\$",
    re.S,
)
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)\+?=")
_ABOUT_CUDA = re.compile(r"(?i)cuda|nvidia|nvcc|gpu")
_NEGATED = re.compile(r"!=|\s!\s|^!\s|-z\s|-ne\s")
_QUESTIONS = frozenset({"command", "which", "type", "hash", "test", "[", "[[", "whereis"})
_OPENING = frozenset({"then", "do", "else", "elif", "fi", "done", "esac", "{", "}", "!", "time", "coproc"})


@dataclass(slots=True)
class Word:
    """A word, `text` without its quotes. `plain`: nothing in it is left to the shell."""

    text: str
    start: int
    end: int
    quoted: bool = False
    plain: bool = True


@dataclass(slots=True)
class Command:
    """A simple command: words, with the assignments before them. `asked`: it only asks, or its failure is met."""

    assignments: list[tuple[str, Word]] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    handled: bool = False


@dataclass(slots=True)
class Shell:
    """The commands in a text, and the comments in it, both in order."""

    commands: list[Command] = field(default_factory=list)
    comments: list[tuple[int, int]] = field(default_factory=list)


def read_shell(text: str, start: int = 0, end: int | None = None) -> Shell:
    """The commands in `text[start:end]`."""
    shell = Shell()
    _Reader(text, len(text) if end is None else end, shell, 0).read(start)
    shell.commands.sort(key=_place)
    return shell


def _place(command: Command) -> int:
    first = command.assignments[0][1] if command.assignments else command.words[0]
    return first.start


@dataclass(slots=True)
class _Frame:
    """A block that is open: an `if`, a `case`, a function, a loop."""

    kind: str
    handled: bool = False
    question: bool = False
    """Is its condition being read?"""
    negated: bool = False


class _Reader:
    def __init__(self, text: str, end: int, shell: Shell, depth: int) -> None:
        self.text = text
        self.end = end
        self.shell = shell
        self.depth = depth
        self.command = Command()
        self.frames: list[_Frame] = []
        self.documents: list[tuple[str, bool]] = []
        self.chained = False
        """Does the command run only where a question about CUDA was answered with yes?"""
        self.inside = False
        """Is the reader within a substitution that is part of a question?"""

    def read(self, at: int) -> int:
        """Reads up to the end, or past the bracket that closes what was opened before."""
        text, end = self.text, self.end
        brackets = 0
        while at < end:
            blank = _BLANK.match(text, at, end)
            if blank is not None:
                at = blank.end()
                continue
            if text[at] == "#":
                comment = _COMMENT.match(text, at, end)
                assert comment is not None
                self.shell.comments.append(comment.span())
                at = comment.end()
                continue
            redirection = _REDIRECTION.match(text, at, end)
            if redirection is not None and (redirection[0][0] in "<>&" or redirection[0][0].isdigit()):
                at = self._redirection(redirection, at)
                continue
            operator = _OPERATOR.match(text, at, end)
            if operator is not None:
                sign = operator[0]
                at = operator.end()
                if sign.startswith("("):
                    if len(self.command.words) == 1 and text.startswith(")", at):
                        self._function()
                        at += 1
                        continue
                    brackets += len(sign)
                    self._end("(")
                elif sign == ")":
                    if self._label():
                        continue
                    self._end(")")
                    if not brackets and self.depth:
                        return at
                    brackets = max(0, brackets - 1)
                else:
                    self._end(sign)
                    if sign.endswith("\n"):
                        at = self._documents(at)
                continue
            at = self._word(at)
        self._end("")
        return at

    def _redirection(self, found: re.Match[str], at: int) -> int:
        sign = found[0].lstrip("0123456789&")
        at = found.end()
        if sign[-1].isdigit() or (sign[-1] == "-" and not sign.startswith("<<")):
            return at
        blank = _BLANK.match(self.text, at, self.end)
        at = blank.end() if blank is not None else at
        kept = len(self.command.words)
        after = self._word(at, redirected=True)
        target = self.command.words[kept:]
        del self.command.words[kept:]
        if sign in ("<<", "<<-") and target:
            self.documents.append((target[0].text, sign == "<<-"))
        return max(after, at)

    def _documents(self, at: int) -> int:
        """Past the here-documents that begin at `at`."""
        for closing, indented in self.documents:
            indent = r"[ \t]*" if indented else ""
            mark = re.compile(rf"^{indent}{re.escape(closing)}[ \t]*\r?$", re.M)
            found = mark.search(self.text, at, self.end)
            at = found.end() if found is not None else self.end
        self.documents.clear()
        return at

    def _word(self, at: int, *, redirected: bool = False) -> int:
        text, begin = self.text, at
        parts: list[str] = []
        quoted, plain = text[at : at + 1] in ("'", '"'), True
        while at < self.end:
            if text.startswith(("\\\n", "\\\r\n"), at):
                break
            found = _PIECE.match(text, at, self.end)
            if found is None:
                break
            piece = found[0]
            at = found.end()
            if piece[0] in "'\"":
                parts.append(piece[1:-1])
                if piece[0] == '"':
                    plain = plain and "$" not in piece and "`" not in piece
                    self._substitutions(found.start() + 1, found.end() - 1)
            elif piece == "$(":
                plain = False
                at = self._substitution(at)
                parts.append(text[found.start() : at])
            elif piece[0] == "`":
                plain = False
                self._inner(found.start() + 1, found.end() - 1)
                parts.append(piece)
            elif piece[0] == "\\" and len(piece) == 2:
                parts.append(piece[1])
            else:
                plain = plain and piece[0] != "$"
                parts.append(piece)
        if at == begin:
            return at + 1
        word = Word("".join(parts), begin, at, quoted, plain)
        self._take(word, redirected)
        return at

    def _take(self, word: Word, redirected: bool) -> None:
        command = self.command
        if redirected:
            command.words.append(word)
            return
        if not command.words and not word.quoted:
            keyword = word.text
            if keyword in ("if", "while", "until", "elif"):
                if keyword == "elif":
                    self._close("if")
                self.frames.append(_Frame("if" if keyword in ("if", "elif") else "loop", question=True))
                return
            if keyword == "case":
                self.frames.append(_Frame("case", question=True))
                return
            if keyword in ("for", "select"):
                self.frames.append(_Frame("loop"))
                return
            if keyword in _OPENING:
                self._keyword(keyword)
                return
            if keyword in ("function", "in"):
                return
            assigned = _ASSIGNMENT.match(self.text, word.start, word.end)
            if assigned is not None:
                value = word.text[len(assigned[0]) :]
                command.assignments.append(
                    (assigned[1], Word(value, word.start, word.end, word.quoted, word.plain))
                )
                return
        if self.frames and self.frames[-1].kind == "case" and self.frames[-1].question and word.text == "in":
            self.frames[-1].question = False
            self.command = Command()
            return
        command.words.append(word)

    def _keyword(self, word: str) -> None:
        if word in ("then", "do"):
            if self.frames:
                self.frames[-1].question = False
        elif word == "else":
            if self.frames and self.frames[-1].kind == "if":
                frame = self.frames[-1]
                frame.handled = frame.negated and not frame.handled
        elif word == "fi":
            self._close("if")
        elif word == "done":
            self._close("loop")
        elif word == "esac":
            self._close("case")
        elif word == "{":
            if not (self.frames and self.frames[-1].kind == "function" and self.frames[-1].question):
                self.frames.append(_Frame("group"))
            else:
                self.frames[-1].question = False
        elif word == "}":
            self._close("function", "group")

    def _close(self, *kinds: str) -> None:
        for at in range(len(self.frames) - 1, -1, -1):
            if self.frames[at].kind in kinds:
                del self.frames[at:]
                return

    def _function(self) -> None:
        name = self.command.words[0].text
        self.command = Command()
        self.frames.append(_Frame("function", _ABOUT_CUDA.search(name) is not None, question=True))

    def _label(self) -> bool:
        """Was the bracket that of a label in a `case`?"""
        if not self.frames or self.frames[-1].kind != "case" or self.frames[-1].question:
            return False
        words = " ".join(word.text for word in self.command.words)
        self.frames[-1].handled = _ABOUT_CUDA.search(words) is not None
        self.command = Command()
        return True

    def _end(self, sign: str) -> None:
        """The command at hand is whole; `sign` is what ends it."""
        command = self.command
        self.command = Command()
        frame = self.frames[-1] if self.frames else None
        if (
            sign == "|"
            and frame is not None
            and frame.kind == "case"
            and not frame.question
            and not frame.handled
        ):
            # Alternatives of a label.
            self.command = command
            return
        if not command.words and not command.assignments:
            if sign == ";;" and frame is not None and frame.kind == "case":
                frame.handled = False
            return
        words = [word.text for word in command.words]
        asks = bool(words) and words[0] in _QUESTIONS
        question = frame is not None and frame.question
        about = any(_ABOUT_CUDA.search(word) for word in words)
        command.handled = (
            self.chained
            or self.inside
            or asks
            or question
            or sign.startswith("||")
            or any(f.handled for f in self.frames)
        )
        if question and about and frame is not None:
            line = " ".join(words)
            frame.negated = _NEGATED.search(f" {line}") is not None
            frame.handled = not frame.negated
        self.chained = sign == "&&" and (self.chained or (asks and about))
        if sign == ";;" and frame is not None and frame.kind == "case":
            frame.handled = False
        self.shell.commands.append(command)

    # -- substitutions -------------------------------------------------------------------------------------

    def _inner(self, start: int, end: int) -> None:
        if self.depth >= MAX_DEPTH:
            return
        inner = _Reader(self.text, end, self.shell, self.depth + 1)
        inner.inside = self._is_handled()
        inner.read(start)

    def _substitution(self, at: int) -> int:
        """Past the bracket that closes a `$(` before `at`."""
        if self.depth >= MAX_DEPTH:
            return self.end
        inner = _Reader(self.text, self.end, self.shell, self.depth + 1)
        inner.inside = self._is_handled()
        return inner.read(at)

    def _is_handled(self) -> bool:
        frame = self.frames[-1] if self.frames else None
        words = self.command.words
        return (
            self.inside
            or self.chained
            or (frame is not None and frame.question and frame.kind != "function")
            or any(f.handled for f in self.frames)
            or bool(words and words[0].text in _QUESTIONS)
        )

    def _substitutions(self, start: int, end: int) -> None:
        """The commands in a text between double quotes."""
        at = start
        while (at := self.text.find("$(", at, end)) >= 0:
            if self.text.startswith("$((", at):
                at += 3
                continue
            if self.depth >= MAX_DEPTH:
                return
            inner = _Reader(self.text, end, self.shell, self.depth + 1)
            inner.inside = self._is_handled()
            at = inner.read(at + 2)


def words_of(command: Command) -> Iterator[str]:
    """The texts of a command's words."""
    return (word.text for word in command.words)

"""Requirements as pip and conda write them, and files that list them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from uncuda.around.items import Index, Item, Requirement

_NAMED = re.compile(
    r"""(?P<name>[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)
    \s*(?:\[(?P<extras>[^\]]*)\])?
    \s*(?:@\s*(?P<url>[^\s;]+)|(?P<version>\(?\s*(?:[<>=!~]=?|===?)[^;\#]*)?)
    \s*(?:;\s*(?P<marker>.*))?""",
    re.VERBOSE,
)
_WHEEL = re.compile(r"(?:^|[/\\])(?P<name>[A-Za-z0-9_.]+?)-(?P<version>\d[^-/\\]*)-[^/\\]*\.whl(?:[#?]|\Z)")
_EGG = re.compile(r"[#&]egg=([\w.-]+)")
_GIT = re.compile(r"(?:git|hg|svn|bzr)\+\S+?/([\w.-]+?)(?:\.git)?(?:@[^#\s]*)?(?:#.*)?\Z")
_OPTION = re.compile(
    r"(?:(?P<only>-i|--index-url|--pypi-url)|(?P<more>--extra-index-url|-f|--find-links))(?:[ \t]*=[ \t]*|[ \t]+|(?<=-[if])(?=\S))"
    r"[\"']?(?P<url>[^\s\"']+)"
)
_EDITABLE = re.compile(r"(?:-e|--editable)[ =]\s*")
_TAIL = re.compile(r"\s+--?[A-Za-z][\w-]*(?:[ =].*)?$")
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*")
_CONDA = re.compile(
    r"(?:(?P<channel>[\w./-]+)::)?(?P<name>[A-Za-z0-9_][\w.-]*)(?:\[(?P<more>[^\]]*)\])?\s*(?P<version>[<>=!~ ].*)?"
)


def requirement(text: str, start: int, *, handled: bool = False) -> Requirement | None:
    """The requirement that `text`, which begins at `start`, is in pip's spelling; None where it is something else."""
    body = text.strip()
    start += len(text) - len(text.lstrip())
    end = start + len(body)
    found = _NAMED.fullmatch(body)
    if found is not None:
        extras = tuple(e.strip() for e in (found["extras"] or "").split(",") if e.strip())
        marker = found["marker"] or ""
        return Requirement(
            start=start,
            end=end,
            handled=handled,
            name=found["name"],
            extras=extras,
            version=(found["version"] or "").strip(" ()"),
            marker=marker,
            url=found["url"] or "",
        )
    address = body.partition(";")[0].strip()
    wheel, egg, git = _WHEEL.search(address), _EGG.search(address), _GIT.match(address)
    name = wheel["name"] if wheel else egg[1] if egg else git[1] if git else None
    if name is None:
        return None
    return Requirement(
        start=start,
        end=end,
        handled=handled,
        name=name,
        version=wheel["version"].replace("%2B", "+").replace("%2b", "+") if wheel else "",
        marker=body.partition(";")[2].strip(),
        url=address,
    )


def conda_requirement(text: str, start: int, *, handled: bool = False) -> Requirement | None:
    """The same in conda's spelling: `pytorch=2.1=*cuda*`, `nvidia::cuda-toolkit 12.1.*`."""
    body = text.strip()
    start += len(text) - len(text.lstrip())
    found = _CONDA.fullmatch(body)
    if found is None:
        return None
    return Requirement(
        start=start,
        end=start + len(body),
        handled=handled,
        name=found["name"],
        version=(found["version"] or found["more"] or "").strip(),
        manager="conda",
    )


def read_list(text: str, path: str) -> Iterator[Item]:
    """The requirements and addresses in a requirements file."""
    for start, line in _logical_lines(text):
        body = line.lstrip()
        at = start + len(line) - len(body)
        if not body:
            continue
        if body.startswith("-"):
            for option in _OPTION.finditer(body):
                begin, end = option.span("url")
                yield Index(
                    start=at + begin, end=at + end, url=option["url"], only=option["only"] is not None
                )
            editable = _EDITABLE.match(body)
            if editable is None:
                continue
            at, body = at + editable.end(), body[editable.end() :]
        found = requirement(_TAIL.sub("", body), at)
        if found is not None:
            yield found


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their offsets: without comments, and with those that a backslash continues behind them. As many
    characters as there were stand before what is kept."""
    start, whole = 0, ""
    for found in re.finditer(r"[^\n]*(?:\n|\Z)", text):
        raw = found[0]
        if not whole:
            start = found.start()
        line = raw.rstrip("\r\n")
        if line.rstrip().endswith("\\") and not line.lstrip().startswith("#"):
            cut = line.rindex("\\")
            whole += line[:cut] + " " * (len(raw) - cut)
            continue
        yield start, whole + _COMMENT.sub("", line).rstrip()
        whole = ""
        if found.end() == len(text):
            break
    if whole:
        yield start, whole

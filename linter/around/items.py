"""What readers find in files around the code: the things that rules are asked about, each with its place.

`start` and `end` are character offsets into the file's text. `handled` says that the program can do without the
thing: it is asked for first, or stands in a part of the file that is chosen for CUDA.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Item:
    """Something at a place."""

    start: int
    end: int
    handled: bool = False


@dataclass(frozen=True, kw_only=True)
class Requirement(Item):
    """A package that is asked for.

    `manager` is pip, conda or a lock file's kind of entry (`locked`). `version` is what stands behind the name: a
    specifier, a conda version with its build, a version. `url` is where it is fetched from, if that is said.
    """

    name: str
    extras: tuple[str, ...] = ()
    version: str = ""
    marker: str = ""
    url: str = ""
    manager: str = "pip"
    locked: bool = False


@dataclass(frozen=True, kw_only=True)
class Index(Item):
    """An address that packages are fetched from. `only`: nothing else is asked."""

    url: str
    only: bool = False


@dataclass(frozen=True, kw_only=True)
class SystemPackage(Item):
    """A package of the system, an action of a CI service, or an installer, that brings a toolkit."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Image(Item):
    """An image that containers are made from."""

    reference: str


@dataclass(frozen=True, kw_only=True)
class Variable(Item):
    """An environment variable that is set."""

    name: str
    value: str = ""


@dataclass(frozen=True, kw_only=True)
class Program(Item):
    """A program that is run, without the directory that it is in."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Option(Item):
    """An option of a launcher or of a container engine: `--gpus`, `--gres=gpu:2`."""

    program: str
    name: str
    value: str = ""


@dataclass(frozen=True, kw_only=True)
class Setting(Item):
    """A value under the name of a setting, in a file (`keys` lead there) or as an option of a program."""

    keys: tuple[str, ...]
    value: str
    argument: bool = False

    @property
    def key(self) -> str:
        """The setting's own name, in lower case, with underscores."""
        return self.keys[-1].lower().replace("-", "_") if self.keys else ""


@dataclass(frozen=True, kw_only=True)
class Resource(Item):
    """A device that a cluster or a container engine is asked for."""

    name: str
    value: str = ""


@dataclass(frozen=True, kw_only=True)
class Native(Item):
    """A native source file: how much there is in it."""

    language: str
    kernels: int
    lines: int
    ported: bool = False
    """Does it know of another vendor's compiler?"""


@dataclass(frozen=True, kw_only=True)
class Assembler(Item):
    """The first of `count` pieces of inline assembler in a native source file."""

    count: int


@dataclass(frozen=True, kw_only=True)
class BuildCommand(Item):
    """A command of a build system, with what it is asked for."""

    name: str
    arguments: tuple[str, ...] = ()

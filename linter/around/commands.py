"""What a command asks for: packages, images, variables, devices."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from uncuda.around.items import (
    BuildCommand,
    Image,
    Index,
    Item,
    Option,
    Program,
    Requirement,
    Setting,
    SystemPackage,
    Variable,
)
from uncuda.around.requirement_lines import conda_requirement, requirement
from uncuda.around.shell import Command, Word, read_shell

_WRAPPERS = frozenset(
    {"sudo", "exec", "nohup", "time", "command", "nice", "env", "eval", "xargs", "doas", "stdbuf"}
)
_ENGINES = frozenset({"docker", "podman", "nerdctl", "nvidia-docker", "docker-compose"})
_SPEAKERS = frozenset(
    {"echo", "printf", "cat", "grep", "egrep", "sed", "awk", "logger", "read", "test", "[", "[["}
)
_SYSTEM = frozenset(
    {"apt-get", "apt", "yum", "dnf", "microdnf", "zypper", "apk", "pacman", "brew", "aptitude"}
)
_SLURM = frozenset({"srun", "sbatch", "salloc", "flux", "bsub", "qsub"})
_PIP_VALUES = frozenset(
    """-r --requirement -c --constraint -t --target --prefix --root --platform --python-version --implementation --abi
    --no-binary --only-binary --src --upgrade-strategy --cache-dir --timeout --retries --proxy --progress-bar --python
    --index-strategy --extra --group --directory --project --source -p -G --config-settings --trusted-host --log
    --build-constraint --overrides --report""".split()
)
_CONDA_VALUES = frozenset(
    "-n --name -p --prefix -c --channel --file --solver --override-frozen --platform".split()
)
_IMAGE = re.compile(r"(?:docker://)?([\w.-]+(?:[:/][\w./${}:@-]+)+)\Z")
_ADDRESS = re.compile(r"\w+://")
_LONG = re.compile(r"--?([A-Za-z][\w.-]*)(?:=(.*))?\Z", re.S)
_DOTTED = re.compile(r"\+{0,2}([A-Za-z_][\w.]*)=(.*)\Z", re.S)
_VARIABLE = re.compile(r"([A-Za-z_]\w*)(?:=(.*))?\Z", re.S)
_CMAKE = re.compile(r"-D(\w*CUDA)(?::BOOL)?=(1|(?i:on|true|yes|y))(?![\w.])")
# A launcher's own comments: directives of the cluster's scheduler.
_DIRECTIVE = re.compile(r"#(?:SBATCH|PBS|BSUB|FLUX:|\$)[ \t]+(?P<rest>[^\n]*)")


def items_of_shell(text: str, start: int = 0, end: int | None = None) -> Iterator[Item]:
    """What the commands and the scheduler's directives in `text[start:end]` ask for."""
    shell = read_shell(text, start, end)
    for first, last in shell.comments:
        found = _DIRECTIVE.match(text, first, last)
        if found is not None:
            words = read_shell(text, found.start("rest"), last).commands
            for command in words:
                yield from _slurm(command.words)
    for command in shell.commands:
        yield from items_of(command)


def items_of_words(words: Sequence[Word]) -> Iterator[Item]:
    """What a command that is given word by word asks for. A shell that is handed a text reads the text itself."""
    yield from items_of(Command(words=list(words)))


def items_of(command: Command) -> Iterator[Item]:
    """What one command asks for."""
    for name, value in command.assignments:
        yield Variable(
            start=value.start,
            end=value.start + len(name),
            name=name,
            value=value.text,
            handled=command.handled,
        )
        yield from cmake_options(value, command.handled)
    words, handled = command.words, command.handled
    at = 0
    while at < len(words) and words[at].text in _WRAPPERS:
        wrapper = words[at].text
        at += 1
        while at < len(words) and (
            words[at].text.startswith("-") or (wrapper == "env" and "=" in words[at].text)
        ):
            if wrapper == "command" and words[at].text in ("-v", "-V"):
                handled = True
            if "=" in words[at].text and not words[at].text.startswith("-"):
                yield from _variable(words[at], handled)
            at += 1
    words = words[at:]
    if not words:
        return
    name = _base(words[0].text)
    if name in ("export", "set", "setenv", "declare", "typeset", "local", "readonly"):
        if name == "set" or name == "setenv":
            if len(words) > 2 and name == "setenv":
                yield from _named(words[1], words[2].text, handled)
            return
        for word in words[1:]:
            if "=" in word.text:
                yield from _variable(word, handled)
        return
    if name in ("which", "type", "hash", "whereis"):
        for word in words[1:]:
            yield Program(start=word.start, end=word.end, name=_base(word.text), handled=True)
        return
    if words[0].quoted and " " in words[0].text:
        return
    yield Program(start=words[0].start, end=words[0].end, name=name, handled=handled)
    yield from _by_program(name, words, handled)


def _by_program(name: str, words: Sequence[Word], handled: bool) -> Iterator[Item]:
    texts = [word.text for word in words]
    if name in _ENGINES or name in ("singularity", "apptainer", "enroot", "kubectl"):
        yield from _engine(name, words, handled)
        return
    if name in _SPEAKERS:
        return
    pip = _pip_words(name, texts)
    if pip is not None:
        yield from _pip(words[pip:], handled)
        return
    if name in ("conda", "mamba", "micromamba", "pixi"):
        verb = next((t for t in texts[1:] if not t.startswith("-")), "")
        if verb in ("install", "create", "add"):
            yield from _conda(words[texts.index(verb) + 1 :], handled)
            return
        if verb == "env" and "config" in texts:
            for word in words:
                if "=" in word.text:
                    yield from _variable(word, handled)
            return
    if name in _SYSTEM:
        verbs = [n for n, t in enumerate(texts) if t in ("install", "add", "-S", "-Sy", "-Syu")]
        if verbs:
            for word in words[verbs[0] + 1 :]:
                if not word.text.startswith("-"):
                    yield SystemPackage(start=word.start, end=word.end, name=word.text, handled=handled)
        return
    if name in _SLURM:
        yield from _slurm(words[1:], handled)
    if name in ("bash", "sh", "zsh", "dash") and "-c" in texts[:-1]:
        script = words[texts.index("-c") + 1]
        if script.quoted and "\\" not in script.text:
            yield from items_of_shell_text(script, handled)
        return
    yield from _arguments(name, words, handled)


def items_of_shell_text(word: Word, handled: bool = False) -> Iterator[Item]:
    """What the commands in a quoted text ask for; places are right where the text has no escapes."""
    from dataclasses import replace

    for item in items_of_shell(word.text):
        yield replace(
            item,
            start=word.start + 1 + item.start,
            end=word.start + 1 + item.end,
            handled=handled or item.handled,
        )


def _base(text: str) -> str:
    return text.rstrip("/").rpartition("/")[2]


def _variable(word: Word, handled: bool) -> Iterator[Item]:
    name, _, value = word.text.partition("=")
    if _VARIABLE.match(name):
        yield Variable(start=word.start, end=word.start + len(name), name=name, value=value, handled=handled)
        yield from cmake_options(word, handled)


def cmake_options(word: Word, handled: bool) -> Iterator[Item]:
    """Options of CMake that switch CUDA on, in a word or in what a variable holds: `-DGGML_CUDA=on`."""
    for found in _CMAKE.finditer(word.text):
        yield BuildCommand(
            start=word.start, end=word.end, name="-D", arguments=(found[1], found[2]), handled=handled
        )


def _named(word: Word, value: str, handled: bool) -> Iterator[Item]:
    yield Variable(start=word.start, end=word.end, name=word.text, value=value, handled=handled)


# -- packages ----------------------------------------------------------------------------------------------


def _pip_words(name: str, texts: Sequence[str]) -> int | None:
    """Where the arguments of an installation begin, if this is one."""
    at = 0
    if re.fullmatch(r"(?:\$\{?\w+\}?|python[\d.]*|py)", name) and "-m" in texts[:3]:
        at = texts.index("-m") + 1
        name = texts[at] if at < len(texts) else ""
    elif name == "uv" and len(texts) > 1:
        at = next((n for n, t in enumerate(texts) if n and not t.startswith("-")), 1)
        if texts[at] == "add":
            return at + 1
        name = texts[at]
    elif (name in ("poetry", "pdm", "rye") and "add" in texts[:2]) or (
        name == "pipenv" and "install" in texts[:2]
    ):
        return 2
    if re.fullmatch(r"pip[\d.]*", name):
        for number, text in enumerate(texts[at + 1 :], at + 1):
            if text in ("install", "download", "wheel"):
                return number + 1
            if not text.startswith("-"):
                return None
    return None


def _pip(words: Sequence[Word], handled: bool) -> Iterator[Item]:
    at = 0
    while at < len(words):
        word = words[at]
        text = word.text
        at += 1
        option, equals, value = text.partition("=")
        if option in (
            "-i",
            "--index-url",
            "--extra-index-url",
            "-f",
            "--find-links",
            "--index",
            "--default-index",
        ):
            if not equals:
                if at >= len(words):
                    return
                word, value = words[at], words[at].text
                at += 1
            if _ADDRESS.match(value) or value.startswith("$"):
                only = option in ("-i", "--index-url", "--default-index")
                yield Index(start=word.start, end=word.end, url=value, only=only, handled=handled)
        elif option == "--torch-backend":
            end = word.end
            if not equals and at < len(words):
                value, end = words[at].text, words[at].end
                at += 1
            yield Option(start=word.start, end=end, program="uv", name=option, value=value, handled=handled)
        elif text in _PIP_VALUES:
            at += 1
        elif not text.startswith("-"):
            found = requirement(text, word.start, handled=handled)
            if found is not None and text != "." and not text.startswith(("./", "../", "/")):
                yield _widened(found, word)


def _conda(words: Sequence[Word], handled: bool) -> Iterator[Item]:
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word.text in _CONDA_VALUES:
            at += 1
        elif not word.text.startswith("-"):
            found = conda_requirement(word.text, word.start, handled=handled)
            if found is not None:
                yield _widened(found, word)


def _widened(found: Requirement, word: Word) -> Item:
    """The requirement at the whole word, quotes included."""
    from dataclasses import replace

    return replace(found, start=word.start, end=word.end)


# -- containers and clusters -------------------------------------------------------------------------------


_ENGINE_VALUES = frozenset(
    """-v --volume -p --publish -w --workdir --name --network --net --shm-size -u --user --device --mount --entrypoint --ipc
    --pid --cap-add --cap-drop --ulimit -m --memory --cpus --hostname -h --add-host --label -l --restart --security-opt
    --log-driver --log-opt --platform --pull --cpuset-cpus --group-add --tmpfs --volumes-from --link --dns --env-file -t
    --tag -f --file --build-arg --target --progress --cache-from --cache-to --output -o --secret --ssh -c --context -H
    --host -B --bind --home --pwd --overlay --workdir --namespace -n""".split()
)
_HANDS_DEVICES = frozenset({"--gpus", "--gpu", "--runtime", "--nv"})
_RUNS = frozenset({"run", "create", "exec", "shell"})


def _engine(name: str, words: Sequence[Word], handled: bool) -> Iterator[Item]:
    """Options that hand devices in, variables, the image, and the command that is run in it."""
    if name == "nvidia-docker":
        word = words[0]
        yield Option(
            start=word.start, end=word.end, program=name, name="--runtime", value="nvidia", handled=handled
        )
    at, verb = 1, ""
    while at < len(words):
        word = words[at]
        at += 1
        if not word.text.startswith("-"):
            if verb in _RUNS:
                yield from _image(word, handled)
                yield from items_of(Command(words=list(words[at:]), handled=handled))
                return
            if verb in ("pull", "build", "inspect"):
                yield from _image(word, handled)
            elif word.text in ("pull", "build", "inspect", *_RUNS):
                verb = word.text
            continue
        option, equals, value = word.text.partition("=")
        last = word
        takes = option in _ENGINE_VALUES or option in ("-e", "--env", "--gpus", "--gpu", "--runtime")
        # `-it` and its like are several options in one word.
        if takes and not equals and at < len(words) and not (option == "-t" and verb in _RUNS):
            last, value = words[at], words[at].text
            at += 1
        if option in ("-e", "--env"):
            key = value.partition("=")[0]
            start = last.end - len(value) if last is word else last.start
            if _VARIABLE.match(key):
                yield Variable(
                    start=start,
                    end=start + len(key),
                    name=key,
                    value=value.partition("=")[2],
                    handled=handled,
                )
        elif option in _HANDS_DEVICES:
            yield Option(
                start=word.start,
                end=last.end,
                program=name,
                name=option,
                value=value.strip("'\""),
                handled=handled,
            )


def _image(word: Word, handled: bool) -> Iterator[Item]:
    found = _IMAGE.match(word.text)
    if found is not None:
        yield Image(start=word.start, end=word.end, reference=found[1], handled=handled)


def _slurm(words: Sequence[Word], handled: bool = False) -> Iterator[Item]:
    for number, word in enumerate(words):
        found = re.match(
            r"(--gres|--gpus(?:-per-\w+)?|-G|-l|-R|-gpu|-C|--constraint)(?:[= ](.*))?\Z", word.text
        )
        if found is None:
            continue
        value, end = found[2], word.end
        if value is None:
            if number + 1 >= len(words):
                continue
            value, end = words[number + 1].text, words[number + 1].end
        yield Option(
            start=word.start, end=end, program="scheduler", name=found[1], value=value, handled=handled
        )


def _arguments(name: str, words: Sequence[Word], handled: bool) -> Iterator[Item]:
    """Options of a program that name a device, as settings: `--device cuda`, `trainer.accelerator=gpu`."""
    for number, word in enumerate(words[1:], 1):
        if word.text.startswith("-D"):
            yield from cmake_options(word, handled)
            continue
        found = _LONG.match(word.text) if word.text.startswith("-") else None
        if found is not None:
            key, value, end = found[1], found[2], word.end
            if value is None:
                if number + 1 >= len(words) or words[number + 1].text.startswith("-"):
                    continue
                value, end = words[number + 1].text, words[number + 1].end
        else:
            dotted = _DOTTED.match(word.text)
            if dotted is None or word.quoted:
                continue
            key, value, end = dotted[1], dotted[2], word.end
        if key.replace("-", "_") == "nproc_per_node":
            yield Option(
                start=word.start, end=end, program=name, name="--nproc_per_node", value=value, handled=handled
            )
            continue
        yield Setting(
            start=word.start,
            end=end,
            keys=tuple(key.split(".")),
            value=value.strip("\"'"),
            argument=True,
            handled=handled,
        )

"""Settings, CI files, manifests of containers and clusters: what nested data asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from uncuda.around.commands import items_of_shell, items_of_words
from uncuda.around.items import Image, Item, Resource, Setting, SystemPackage, Variable
from uncuda.around.shell import Word, read_shell
from uncuda.around.tree import Mapping, Node, Scalar, Sequence, scalars

_IMAGES = re.compile(r"(?i)(?:.*[_-])?(?:image|base_?image|container|image_?(?:name|uri|id))\Z")
_SCRIPTS = frozenset(
    """run script before_script after_script commands setup bash shell build_command install
    postcreatecommand postattachcommand poststartcommand oncreatecommand updatecontentcommand""".split()
)
_WORDS = frozenset({"command", "cmd", "args", "entrypoint", "runargs"})
_ENVIRONMENTS = re.compile(
    r"(?i)(?:.*[_-])?(?:env|envs|environment|environ|env_?vars?|environment_?variables|variables|set_?env|containerenv|remoteenv|build_?args)\Z"
)
_VARIABLE = re.compile(r"[A-Za-z_]\w*\Z")
# Keys that say nothing of their own: the setting is called as what is above them.
_TRANSPARENT = frozenset({"default", "value", "val"})
_OTHERS = re.compile(
    r"(?i)(?:cpu|mps|npu|xpu|hpu|tpu|xla|mlu|musa|rocm|hip|auto|gloo|hccl|xccl|ccl|mpi|none|null)(?::\d+)?\Z"
)
_NO_SETTING = frozenset({"enum", "choices", "options", "examples", "description", "help", "name", "title"})


def items_of_tree(text: str, root: Node) -> Iterator[Item]:
    """What nested data asks for: images, commands, variables, devices, settings."""
    yield from _items(text, root, ())


def _items(text: str, node: Node, keys: tuple[str, ...]) -> Iterator[Item]:
    if isinstance(node, Mapping):
        for key, value in node.entries:
            yield from _entry(text, key, value, keys)
    elif isinstance(node, Sequence):
        yield from _listed(text, node, keys)


def _listed(text: str, node: Sequence, keys: tuple[str, ...]) -> Iterator[Item]:
    """What a list of tables asks for. One table for each of several devices is a matrix."""
    others = {
        key.text
        for item in node.items
        if isinstance(item, Mapping)
        for key, value in item.entries
        if isinstance(value, Scalar) and _OTHERS.match(value.text)
    }
    for item in node.items:
        for found in _items(text, item, keys):
            if not (isinstance(found, Setting) and found.keys[-1] in others):
                yield found


def _entry(text: str, key: Scalar, value: Node, keys: tuple[str, ...]) -> Iterator[Item]:
    name = key.text
    low = name.lower().replace("-", "_")
    path = (*keys, name)
    if _ENVIRONMENTS.match(name) and not isinstance(value, Scalar):
        yield from _environment(text, value, path)
        return
    resource = _resource(key, value, path)
    if resource is not None:
        yield resource
        if isinstance(value, Scalar):
            return
    if isinstance(value, Scalar):
        if low == "options" and keys and keys[-1] == "container":
            yield from _engine_options(text, value)
            return
        yield from _scalar(text, key, value, path, low)
    elif (
        _IMAGES.match(low)
        and isinstance(value, Mapping)
        and isinstance(name_node := value.get("name"), Scalar)
    ):
        yield Image(start=name_node.start, end=name_node.end, reference=name_node.text)
        yield from _items(text, value, path)
    elif low in _WORDS and isinstance(value, Sequence):
        yield from _words(text, value, low)
    elif isinstance(value, Sequence):
        yield from _sequence(text, value, path, low)
    else:
        yield from _items(text, value, path)


def _scalar(text: str, key: Scalar, value: Scalar, path: tuple[str, ...], low: str) -> Iterator[Item]:
    if low in _SCRIPTS or low in _WORDS or (value.block and low not in ("description", "help")):
        yield from items_of_shell(text, value.start, value.end)
    elif low == "uses":
        yield SystemPackage(start=value.start, end=value.end, name=value.text)
    elif _IMAGES.match(low) and value.text:
        yield Image(start=value.start, end=value.end, reference=value.text.removeprefix("docker://"))
    elif low not in _NO_SETTING:
        if low in _TRANSPARENT and len(path) > 1:
            path = path[:-1]
        yield Setting(start=value.start, end=value.end, keys=path, value=value.text)


def _sequence(text: str, value: Sequence, path: tuple[str, ...], low: str) -> Iterator[Item]:
    texts = scalars(value)
    if low in _SCRIPTS:
        for one in texts:
            yield from items_of_shell(text, one.start, one.end)
        yield from _tables(text, value, path)
        return
    # A list that has other devices too is a matrix, or what may be chosen from.
    told = low in _NO_SETTING or any(_OTHERS.match(one.text) for one in texts)
    for one in texts:
        if not told:
            yield Setting(start=one.start, end=one.end, keys=path, value=one.text)
    yield from _tables(text, value, path)


def _tables(text: str, value: Sequence, path: tuple[str, ...]) -> Iterator[Item]:
    rest: list[Node] = [item for item in value.items if not isinstance(item, Scalar)]
    yield from _listed(text, Sequence(value.start, value.end, rest), path)


def _engine_options(text: str, value: Scalar) -> Iterator[Item]:
    """What the options of a CI service's container hand in."""
    for command in read_shell(text, value.start, value.end).commands:
        here = command.words[0].start if command.words else value.start
        yield from items_of_words([Word("docker", here, here), Word("run", here, here), *command.words])


def _words(text: str, value: Sequence, low: str) -> Iterator[Item]:
    texts = scalars(value)
    words = [Word(one.text, one.start, one.end) for one in texts]
    if low == "runargs" and words:
        here = words[0].start
        words[:0] = [Word("docker", here, here), Word("run", here, here)]
    elif (len(words) > 1 and words[-2].text == "-c") or (words and "\n" in words[-1].text):
        yield from items_of_shell(text, words[-1].start, words[-1].end)
        return
    elif words and words[0].text.startswith("-"):
        # Arguments alone: the program is the image's.
        words.insert(0, Word("program", words[0].start, words[0].start))
    yield from items_of_words(words)


def _environment(text: str, value: Node, path: tuple[str, ...]) -> Iterator[Item]:
    if isinstance(value, Mapping):
        for key, one in value.entries:
            if _VARIABLE.match(key.text) and isinstance(one, Scalar):
                yield Variable(start=key.start, end=key.end, name=key.text, value=one.text)
            elif not isinstance(one, Scalar):
                yield from _items(text, one, (*path, key.text))
    elif isinstance(value, Sequence):
        for item in value.items:
            if isinstance(item, Scalar):
                name, _, rest = item.text.partition("=")
                if _VARIABLE.match(name):
                    yield Variable(start=item.start, end=item.start + len(name), name=name, value=rest)
            elif isinstance(item, Mapping):
                name_node, value_node = item.get("name"), item.get("value")
                if isinstance(name_node, Scalar) and _VARIABLE.match(name_node.text):
                    given = value_node.text if isinstance(value_node, Scalar) else ""
                    yield Variable(start=name_node.start, end=name_node.end, name=name_node.text, value=given)


def _resource(key: Scalar, value: Node, path: tuple[str, ...]) -> Resource | None:
    """A device of NVIDIA's that is asked for by name."""
    name = key.text
    text = value.text if isinstance(value, Scalar) else ""
    above = path[-2].lower() if len(path) > 1 else ""
    if name.startswith("nvidia.com/"):
        return Resource(start=key.start, end=key.end, name=name, value=text)
    if name == "runtimeClassName" and text.startswith("nvidia"):
        return Resource(start=key.start, end=value.end, name="runtimeClassName", value=text)
    if name == "runtime" and text == "nvidia":
        return Resource(start=key.start, end=value.end, name="runtime", value=text)
    if name == "driver" and text == "nvidia" and above == "devices":
        return Resource(start=key.start, end=value.end, name="driver", value=text)
    if name == "gpus" and text == "all":
        return Resource(start=key.start, end=value.end, name="gpus", value=text)
    if name in ("cloud.google.com/gke-accelerator", "k8s.amazonaws.com/accelerator") and "nvidia" in text:
        return Resource(start=key.start, end=value.end, name=name, value=text)
    return None

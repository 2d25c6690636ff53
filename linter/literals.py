"""What a literal says by itself, a text or the device that it names, and which argument of a call is which."""

from __future__ import annotations

import re

import libcst as cst

from uncuda.values import Kind, Value, Which

_CUDA_TEXT = re.compile(r"cuda(?::(\d+))?\Z")
_DEVICE_TEXT = re.compile(r"(cpu|cuda|mps|xpu|hpu|npu|mlu|musa|xla|meta|ipu|privateuseone)(?::(\d+))?\Z")
_CUDA_HEAD = re.compile(r"cuda:\Z")


def string_value(node: cst.CSTNode) -> str | None:
    """The text of a plain or implicitly joined string literal; None for anything else (bytes too)."""
    if node.__class__ is cst.SimpleString:
        if "b" in node.prefix.lower():
            return None
        raw = node.raw_value
        if "\\" in raw and "r" not in node.prefix.lower():
            value = node.evaluated_value
            return value if isinstance(value, str) else None
        return raw
    if node.__class__ is cst.ConcatenatedString:
        left, right = string_value(node.left), string_value(node.right)
        return None if left is None or right is None else left + right
    return None


def device_text(node: cst.CSTNode) -> Value | None:
    """The device that a literal names: "cuda", "cuda:1", f"cuda:{i}", "cuda:" + str(i), "cuda:%d" % i,
    "cuda:{}".format(i)."""
    text = string_value(node)
    if text is not None:
        found = _DEVICE_TEXT.match(text)
        if found is None:
            return None
        which = Which.CUDA if found[1] == "cuda" else Which.OTHER
        return Value(Kind.TEXT, which, found[2] or "")
    if indexed_cuda_text(node) is not None:
        return Value(Kind.TEXT, Which.CUDA, "?")
    return None


_COMPUTED: frozenset[type[cst.CSTNode]] = frozenset({cst.FormattedString, cst.BinaryOperation, cst.Call})


def indexed_cuda_text(node: cst.CSTNode) -> cst.BaseExpression | None:
    """The index expression of a computed "cuda:N" text, or None when `node` isn't one."""
    if node.__class__ not in _COMPUTED:
        return None
    match node:
        case cst.FormattedString(
            parts=[cst.FormattedStringText(value="cuda:"), cst.FormattedStringExpression() as part]
        ):
            return (
                part.expression
                if part.conversion is None and part.format_spec is None and not part.equal
                else None
            )
        case cst.BinaryOperation(
            left=cst.SimpleString() as head,
            operator=cst.Add(),
            right=cst.Call(func=cst.Name("str"), args=[cst.Arg(keyword=None, value=index)]),
        ) if string_value(head) == "cuda:":
            return index
        case cst.BinaryOperation(left=cst.SimpleString() as head, operator=cst.Modulo(), right=index) if (
            string_value(head) in ("cuda:%d", "cuda:%s", "cuda:%i")
        ):
            if isinstance(index, cst.Tuple):
                return index.elements[0].value if len(index.elements) == 1 else None
            return index if not isinstance(index, cst.Dict) else None
        case cst.Call(
            func=cst.Attribute(value=cst.SimpleString() as head, attr=cst.Name("format")),
            args=[cst.Arg(keyword=None, star="", value=index)],
        ) if string_value(head) in ("cuda:{}", "cuda:{0}"):
            return index
        case _:
            return None


def argument(call: cst.Call, keyword: str, position: int | None = None) -> cst.Arg | None:
    """The argument given as `keyword=`, or at `position` (0-based); None when absent or behind a star."""
    for arg in call.args:
        if arg.keyword is not None and arg.keyword.value == keyword:
            return arg
    if position is not None:
        for i, arg in enumerate(call.args):
            if arg.star or arg.keyword is not None:
                return None
            if i == position:
                return arg
    return None

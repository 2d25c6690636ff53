"""A parameter that is None by default, and gets its value when the function is called."""

from __future__ import annotations

import re

import libcst as cst

from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.fixes.statements import indent_unit
from uncuda.literals import string_value
from uncuda.rules._calls import last_word
from uncuda.walk import is_text_statement

# Decorators under which a signature is a schema.
_SCHEMAS = frozenset(("custom_op", "register_fake", "register_kernel", "impl", "overload"))


def none_by_default(fix: FixBuilder, param: cst.Param, function: cst.FunctionDef, value: str) -> None:
    """Makes None the default of a parameter, and binds `value` (source text) in the function where it gets None."""
    fix.unsafe()
    assert param.default is not None
    if any(last_word(_called(d.decorator)) in _SCHEMAS for d in function.decorators):
        raise CannotFix("the signature is a schema")
    first = next((s for s in function.body.body if not _is_docstring(s)), None)
    if first is None or not isinstance(function.body, cst.IndentedBlock) or _is_stub(function.body):
        raise CannotFix("the function has no body")
    name = param.name.value
    fix.insert_before(first, f"if {name} is None:", f"{indent_unit(fix.ctx)}{name} = {value}", above=True)
    fix.replace(param.default, "None")
    if param.annotation is not None:
        _allow_none(fix, param.annotation.annotation)


def _called(node: cst.BaseExpression) -> cst.BaseExpression:
    return node.func if isinstance(node, cst.Call) else node


def _is_docstring(stmt: cst.CSTNode) -> bool:
    return (
        isinstance(stmt, cst.SimpleStatementLine) and len(stmt.body) == 1 and is_text_statement(stmt.body[0])
    )


def _is_stub(body: cst.IndentedBlock) -> bool:
    """Nothing but a docstring, `pass`, `…` or `raise NotImplementedError`."""
    for stmt in body.body:
        if not isinstance(stmt, cst.SimpleStatementLine):
            return False
        for small in stmt.body:
            match small:
                case cst.Pass() | cst.Expr(value=cst.Ellipsis()) | cst.Raise():
                    pass
                case _ if is_text_statement(small):
                    pass
                case _:
                    return False
    return True


_NULLABLE = re.compile(r"\b(?:Optional|None|Any|object)\b")


def refuse_list(annotation: str) -> None:
    """Raises CannotFix for an annotation that lists the texts which a value may be."""
    if "Literal" in annotation:
        raise CannotFix("the annotation lists what it may be")


def _allow_none(fix: FixBuilder, node: cst.BaseExpression) -> None:
    """Makes an annotation take None, in the way that the file writes it."""
    ctx = fix.ctx
    code = fix.code(node)
    refuse_list(code)
    if _NULLABLE.search(code):
        return
    names = {target: name for name, target in ctx.index.aliases.items()}
    optional = names.get("typing.Optional") or (f"{names['typing']}.Optional" if "typing" in names else None)
    joined = isinstance(node, cst.BinaryOperation)
    lazy = "annotations" in ctx.index.aliases or " | None" in ctx.index.text
    if joined or (optional is None and lazy and string_value(node) is None):
        fix.replace(node, f"{code} | None")
        return
    if optional is None:
        if "Optional" in ctx.index.bindings:
            raise CannotFix("`Optional` means something else here")
        fix.edits.append(ctx.import_edit("from typing import Optional"))
    fix.replace(node, f"{optional or 'Optional'}[{code}]")

"""The portable text that stands for a CUDA literal: as an argument, as a torch.device, as text."""

from __future__ import annotations

import libcst as cst

from uncuda.fixes.builder import FixBuilder
from uncuda.guards import surely_available
from uncuda.rules._indexes import Index, index_of, joined


def device_for(fix: FixBuilder, node: cst.BaseExpression) -> str:
    """What a call takes as its device in place of a CUDA literal: a torch.device, or its text."""
    return argument_for(fix, index_of(fix, node))


def argument_for(fix: FixBuilder, index: Index | None) -> str:
    """What a call takes as its device, with this index: a torch.device, or its text."""
    if index is None or index.current:
        return fix.device()
    if index.tensor:
        return f"{index.tensor}.device"
    if index.is_int:
        return fix.device_with_index(index.text)
    return fix.shared_device(index.text) or joined(fix.device_type(), index)


def object_for(fix: FixBuilder, node: cst.BaseExpression) -> str:
    """A torch.device in place of a CUDA literal."""
    index = index_of(fix, node)
    if index is None or index.current:
        return fix.torch_device()
    if index.tensor:
        return f"{index.tensor}.device"
    if index.is_int:
        return fix.device_with_index(index.text)
    shared = fix.shared_device(index.text)
    return shared or f"{fix.name('torch')}.device({joined(fix.device_type(), index)})"


def text_for(fix: FixBuilder, node: cst.BaseExpression) -> str:
    """A str in place of a CUDA text, made from the device in scope or a new one."""
    index = index_of(fix, node)
    if index is not None and index.tensor:
        return f"str({index.tensor}.device)"
    return fix.device_type() if index is None else joined(fix.device_type(), index)


def selected_text(fix: FixBuilder, node: cst.BaseExpression, *, reuse: bool = True) -> str:
    """An expression of its own that selects what a CUDA text names, as str; "cpu" without an accelerator.

    `reuse`: a portable device that is in scope may be used.
    """
    index = index_of(fix, node)
    if index is not None and index.tensor:
        return f"str({index.tensor}.device)"
    here = _in_scope_text(fix, reuse)
    if here is not None:
        return here if index is None else joined(here, index)
    own = fix.ctx.devices.own(fix) if index is None else None
    if own is not None:
        return own.text if own.is_text else f"{own.text}.type"
    fix.needs("torch.accelerator")
    spelling = fix.spelling()
    kind = f"{spelling.accelerator}.type"
    text = kind if index is None else joined(kind, index)
    return text if _is_there(fix, node) else spelling.guarded(text, '"cpu"')


def selected_object(fix: FixBuilder, node: cst.BaseExpression, *, reuse: bool = True) -> str:
    """An expression of its own that selects what a CUDA device names, as torch.device; the CPU without an
    accelerator."""
    index = index_of(fix, node)
    if index is not None and index.tensor:
        return f"{index.tensor}.device"
    here = _in_scope_text(fix, reuse)
    if here is not None:
        return object_for(fix, node)
    own = fix.ctx.devices.own(fix) if index is None else None
    if own is not None:
        return f"{fix.name('torch')}.device({own.text})" if own.is_text else own.text
    fix.needs("torch.accelerator")
    spelling = fix.spelling()
    kind = f"{spelling.accelerator}.type"
    if index is None:
        device = spelling.accelerator
    elif index.is_int:
        device = f"{spelling.torch}.device({kind}, {index.text})"
    else:
        device = f"{spelling.torch}.device({joined(kind, index)})"
    return device if _is_there(fix, node) else spelling.guarded(device, f'{spelling.torch}.device("cpu")')


def _is_there(fix: FixBuilder, node: cst.CSTNode) -> bool:
    """Is an accelerator there for certain where `node` is reached?"""
    return surely_available(fix.ctx.parent_of(node)[1], node, fix.ctx.flow, fix.ctx.around)


def _in_scope_text(fix: FixBuilder, reuse: bool) -> str | None:
    """The type of a portable device that can be used without binding one, as str."""
    if fix.ctx.options.device_expr:
        return fix.device_type()
    if not reuse or fix.ctx.devices.known() is None:
        return None
    return fix.device_type()

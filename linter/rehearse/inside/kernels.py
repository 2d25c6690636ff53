"""The simulated device's operators: each runs the CPU's kernel on the same memory, under the device's label."""

from __future__ import annotations

import functools
from typing import Any, Callable, Dict, List, Optional, Tuple

import torch

from . import recurrent, sync_batch_norm
from .journal import Journal
from .labels import LIBRARIES, OWN_KEYS, Simulated, index_of, is_simulated, on_cpu, on_device

aten = torch.ops.aten
_CPU = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)

# Kernels that move no data: the CPU's one works on the simulated tensor itself. The storage and the offset stay
# shared, which autograd's bookkeeping of views relies on.
_METADATA = (
    "as_strided", "view", "_reshape_alias", "unfold", "set_.source_Storage_storage_offset", "set_.source_Tensor",
    "set_.source_Storage",
)  # fmt: skip

# Operators that torch writes out for a device that lacks them, in a way that not every layout of memory allows.
_WHOLE = ("native_group_norm",)

# Operators that take tensors of the CPU beside those of a device, on CUDA as well.
_MIXING = (
    "aten::index",
    "aten::_index",
    "aten::_unsafe_index",
    "aten::_unsafe_masked_index",
    "aten::copy",
    "aten::_copy",
)


def _overload(name: str) -> Any:
    base, _, overload = name.partition(".")
    return getattr(getattr(aten, base), overload or "default")


class _Facts:
    """What the schema of an operator says, worked out once."""

    def __init__(self, op: Any) -> None:
        self.name: str = op.name()
        self.mixes = self.name.startswith(_MIXING)
        schema = op._schema
        self.outs = [
            a.name
            for a in schema.arguments
            if a.kwarg_only and a.alias_info is not None and a.alias_info.is_write
        ]
        self.returns_written = any(r.alias_info is not None and r.alias_info.is_write for r in schema.returns)


class Kernels:
    """Registers the operators and runs them."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._facts: Dict[Any, _Facts] = {}

    def register(self) -> None:
        """Makes the device able to compute."""
        library = torch.library.Library("aten", "IMPL")
        LIBRARIES.append(library)

        def kernel(name: str, function: Callable[..., Any]) -> None:
            library.impl(name, function, "PrivateUse1")

        for name in _METADATA:
            kernel(name, _on_itself(_overload(name)))
        for name in _WHOLE:
            kernel(name, functools.partial(self.run, _overload(name)))
        kernel("empty.memory_format", _empty)
        kernel("empty_strided", _empty_strided)
        kernel("resize_", resize)
        kernel("_to_copy", _to_copy)
        kernel("_copy_from", _copy_from)
        kernel("_copy_from_and_resize", _copy_from_and_resize)
        kernel("_local_scalar_dense", lambda tensor: on_cpu(tensor).item())
        # Convolution has an entry of its own for devices from outside.
        kernel("convolution_overrideable", self._convolution)
        kernel("convolution_backward_overrideable", self._convolution_backward)
        for key in OWN_KEYS:
            library.impl("_has_compatible_shallow_copy_type", _can_take_over, key)
        recurrent.register(library)
        sync_batch_norm.register(library)
        rest = torch.library.Library("_", "IMPL")
        LIBRARIES.append(rest)
        rest.fallback(self.run, "PrivateUse1")
        rest.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")

    # -- every other operator ------------------------------------------------------------------------------

    def run(self, op: Any, *args: Any, **kwargs: Any) -> Any:
        """Runs an operator on the CPU's kernel and brings what it gives under the device's label."""
        facts = self._facts.get(op)
        if facts is None:
            facts = self._facts[op] = _Facts(op)
        self._journal.count_op(facts.name)
        call = _Call()
        given = [call.taken(a) for a in args]
        named = {k: call.taken(v) for k, v in kwargs.items()}
        if call.foreign is not None and call.pairs and not facts.mixes:
            raise RuntimeError(_mixed(facts.name, call))
        if "pin_memory" in named:
            named["pin_memory"] = False
        written = [
            (name, kwargs[name])
            for name in facts.outs
            if isinstance(kwargs.get(name), torch.Tensor) and kwargs[name].device.type == Simulated.name
        ]
        if not written:
            return call.given_back(op(*given, **named), facts.returns_written)
        for name, tensor in written:
            if not tensor.numel() or not tensor.dim():
                # What is still to get its size, or a number that some operators use for more on the way.
                named[name] = torch.empty(0, dtype=tensor.dtype)
        try:
            op(*given, **named)
        except RuntimeError as error:
            # An alias can't grow: what has another size is computed beside it.
            if "resize" not in str(error):
                raise
            named.update((name, torch.empty(0, dtype=tensor.dtype)) for name, tensor in written)
            op(*given, **named)
        for name, tensor in written:
            made = named[name]
            if made.shape != tensor.shape or made.data_ptr() != tensor.data_ptr():
                if made.shape != tensor.shape:
                    resize(tensor, list(made.shape))
                on_cpu(tensor).copy_(made)
        return written[0][1] if len(written) == 1 else tuple(tensor for _, tensor in written)

    # -- convolution ---------------------------------------------------------------------------------------

    def _convolution(self, x: Any, weight: Any, bias: Any, *rest: Any) -> Any:
        self._journal.count_op("aten::convolution")
        call = _Call()
        given = [call.taken(a) for a in (x, weight, bias)]
        if call.foreign is not None:
            raise RuntimeError(_mixed("aten::convolution", call))
        return on_device(aten.convolution(*given, *rest), call.index)

    def _convolution_backward(
        self, grad: Any, x: Any, weight: Any, stride: Any, padding: Any, dilation: Any, transposed: bool,
        output_padding: Any, groups: int, mask: Any,
    ) -> Tuple[Any, ...]:  # fmt: skip
        self._journal.count_op("aten::convolution_backward")
        sizes = [weight.shape[1] * groups if transposed else weight.shape[0]]
        results = aten.convolution_backward(
            on_cpu(grad), on_cpu(x), on_cpu(weight), sizes, stride, padding, dilation, transposed, output_padding,
            groups, mask,
        )  # fmt: skip
        return tuple(None if r is None else on_device(r, x.device.index) for r in results)


class _Call:
    """The arguments of one call on their way to the CPU, and its results on their way back."""

    def __init__(self) -> None:
        self.pairs: List[Tuple[Any, Any]] = []
        """Each simulated tensor among the arguments, after its alias on the CPU."""
        self.foreign: Optional[Any] = None
        """A tensor of the CPU among the arguments, other than a number."""
        self.index: Optional[int] = None

    def taken(self, value: Any) -> Any:
        """An argument as the CPU's kernel takes it."""
        if isinstance(value, torch.Tensor):
            if value.device.type == Simulated.name:
                if self.index is None:
                    self.index = value.device.index
                alias = on_cpu(value)
                self.pairs.append((alias, value))
                return alias
            if value.device.type == "cpu" and value.dim() > 0:
                self.foreign = value
            return value
        if is_simulated(value):
            if self.index is None:
                self.index = index_of(value)
            return torch.device("cpu")
        if isinstance(value, (list, tuple)):
            return type(value)([self.taken(v) for v in value])
        return value

    def given_back(self, result: Any, written: bool) -> Any:
        """A result as the program gets it: what was written to is the tensor that came in."""
        if isinstance(result, torch.Tensor):
            if result.device.type != "cpu":
                return result
            for alias, tensor in self.pairs:
                if result is alias:
                    return tensor
                if written and result.data_ptr() == alias.data_ptr() and result.shape == alias.shape:
                    return tensor
            return on_device(result, self.index)
        if isinstance(result, (list, tuple)):
            return type(result)([self.given_back(r, written) for r in result])
        return result


def _mixed(name: str, call: _Call) -> str:
    return (
        "Expected all tensors to be on the same device, but found at least two devices, %s:%s and cpu! "
        "(when running %s)" % (Simulated.name, call.index, name)
    )


# -- kernels by hand -----------------------------------------------------------------------------------------


def _on_itself(op: Any) -> Callable[..., Any]:
    return lambda *args, **kwargs: op.redispatch(_CPU, *args, **kwargs)


def _empty(
    size: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: Any = None,
    memory_format: Any = None,
) -> Any:  # fmt: skip
    made = torch.empty(
        size, dtype=dtype, device="cpu", memory_format=memory_format or torch.contiguous_format
    )
    return on_device(made, index_of(device))


def _empty_strided(
    size: Any,
    stride: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = None,
) -> Any:
    return on_device(torch.empty_strided(size, stride, dtype=dtype, device="cpu"), index_of(device))


def resize(tensor: Any, size: Any, *, memory_format: Any = None) -> Any:
    """Gives a simulated tensor another size, and more memory where it needs more; its content stays."""
    elements = 1
    strides: List[int] = []
    for length in reversed(size):
        strides.insert(0, elements)
        elements *= max(int(length), 1)
    if 0 in list(size):
        elements = 0
    storage = tensor.untyped_storage()
    offset = tensor.storage_offset()
    if (offset + elements) * tensor.element_size() > storage.nbytes():
        larger = on_device(torch.zeros(offset + elements, dtype=tensor.dtype), tensor.device.index)
        old = on_cpu(tensor).reshape(-1)
        on_cpu(larger)[offset : offset + old.numel()].copy_(old)
        storage = larger.untyped_storage()
    aten.set_.source_Storage_storage_offset.redispatch(_CPU, tensor, storage, offset, size, strides)
    return tensor


def _to_copy(
    source: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: Any = None,
    non_blocking: bool = False, memory_format: Any = None,
) -> Any:  # fmt: skip
    """A copy of a simulated tensor, wherever; torch's own asks for pinned memory where the copy need not be waited for."""
    alias = on_cpu(source)
    if device is not None and not is_simulated(device):
        return aten._to_copy(alias, dtype=dtype, layout=layout, device=device, memory_format=memory_format)
    index = source.device.index if device is None else index_of(device)
    return on_device(aten._to_copy(alias, dtype=dtype, layout=layout, memory_format=memory_format), index)


def _copy_from(source: Any, target: Any, non_blocking: bool = False) -> Any:
    on_cpu(target).copy_(on_cpu(source))
    return target


def _copy_from_and_resize(source: Any, target: Any) -> Any:
    if target.shape != source.shape:
        if target.device.type == Simulated.name:
            resize(target, list(source.shape))
        else:
            target.resize_(source.shape)
    return _copy_from(source, target)


def _can_take_over(tensor: Any, other: Any) -> bool:
    """May a tensor take over another's data (`Module.to` asks)? Then parameters keep their identity.

    Vendors answer so for their device and the CPU. Without it tied weights would come apart, and an optimizer
    that was made before `.to()` would train nothing.
    """
    known = ("cpu", Simulated.name)
    return tensor.layout == other.layout and tensor.device.type in known and other.device.type in known

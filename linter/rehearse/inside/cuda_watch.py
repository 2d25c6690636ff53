"""Watches what the program asks of CUDA: names of torch.cuda, `.cuda()`, device text, NCCL. Nothing is changed."""

from __future__ import annotations

import functools
import sys
from types import ModuleType
from typing import Any, Callable, Dict, Optional, Tuple

import torch
from torch.overrides import TorchFunctionMode

from .journal import Journal

_MODULES = ("torch.cuda", "torch.backends.cuda", "torch.backends.cudnn")
"""Modules whose every public name is a tie to CUDA; those below them count as well."""
_COMPUTING = frozenset(
    (
        "linear", "matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "addmm", "baddbmm", "einsum", "conv1d", "conv2d",
        "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "scaled_dot_product_attention", "lstm",
        "gru", "multi_head_attention_forward", "embedding", "_transformer_encoder_layer_fwd",
    )
)  # fmt: skip
"""Functions that a program puts on an accelerator: one on the CPU is worth a word."""


def install(journal: Journal, device: Optional[str]) -> None:
    """Starts to watch. `device`: the simulated device, if there is one."""
    _watch_modules(journal)
    _watch_methods(journal)
    _watch_initialization(journal)
    _Calls(journal, device).__enter__()


# -- names of modules ----------------------------------------------------------------------------------------


def _watch_modules(journal: Journal) -> None:
    for name, module in list(sys.modules.items()):
        if any(name == m or name.startswith(m + ".") for m in _MODULES):
            _watch_names(module, name, journal)
    _watch_names(torch.version, "torch.version", journal, frozenset(("cuda",)))


def _watch_names(
    module: ModuleType, name: str, journal: Journal, only: Optional[frozenset[str]] = None
) -> None:
    """Notes each name that the program takes from a module, or sets in it."""
    base = type(module)

    def note(attribute: str) -> None:
        # Neither this package nor the import system, which looks whether a name is there.
        if journal.owner(sys._getframe(2).f_code.co_filename) not in ("own", "stdlib"):
            place = journal.place()
            if place is not None:
                journal.note("touch", name + "." + attribute, place)

    class Watched(base):  # type: ignore[misc,valid-type]
        def __getattribute__(self, attribute: str) -> Any:
            value = base.__getattribute__(self, attribute)
            if not attribute.startswith("_") and not isinstance(value, ModuleType):
                if only is None or attribute in only:
                    note(attribute)
            return value

        def __setattr__(self, attribute: str, value: Any) -> None:
            if only is None and not attribute.startswith("_"):
                note(attribute)
            base.__setattr__(self, attribute, value)

    Watched.__name__, Watched.__qualname__ = base.__name__, base.__qualname__
    Watched.__module__ = base.__module__
    try:
        module.__class__ = Watched
    except TypeError as error:
        journal.write("unwatched", subject=name, text=str(error))


# -- methods and functions in Python -------------------------------------------------------------------------


def _watch_methods(journal: Journal) -> None:
    _before(torch.nn.Module, "cuda", lambda args, kwargs: "torch.nn.Module.cuda", journal)
    _before(torch, "load", _map_location, journal)
    _before(torch, "set_default_tensor_type", _cuda_type, journal)
    for holder, name in (
        (torch.amp.autocast_mode.autocast, "torch.autocast"),
        (_scaler(), "torch.amp.GradScaler"),
    ):
        if holder is not None:
            _before(holder, "__init__", functools.partial(_device_type, name), journal)
    if torch.distributed.is_available():
        from torch.distributed import distributed_c10d

        for name in ("init_process_group", "new_group"):
            _before(distributed_c10d, name, functools.partial(_nccl, name), journal)
            setattr(torch.distributed, name, getattr(distributed_c10d, name))


def _scaler() -> Any:
    return getattr(torch.amp, "GradScaler", None)


_Question = Callable[[Tuple[Any, ...], Dict[str, Any]], Optional[str]]


def _before(holder: Any, name: str, question: _Question, journal: Journal) -> None:
    """Before a call the question says what is to be noted, if anything."""
    original = getattr(holder, name)

    @functools.wraps(original)
    def watched(*args: Any, **kwargs: Any) -> Any:
        subject = question(args, kwargs)
        if subject is not None:
            place = journal.place()
            if place is not None:
                journal.note("touch", subject, place)
        return original(*args, **kwargs)

    setattr(holder, name, watched)


def is_cuda(value: Any) -> bool:
    """Does a value name a CUDA device?"""
    if isinstance(value, str):
        return value == "cuda" or value.startswith("cuda:")
    return isinstance(value, torch.device) and value.type == "cuda"


def _argument(args: Tuple[Any, ...], kwargs: Dict[str, Any], index: int, name: str) -> Any:
    return args[index] if len(args) > index else kwargs.get(name)


def _map_location(args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> Optional[str]:
    where = _argument(args, kwargs, 1, "map_location")
    values = where.values() if isinstance(where, dict) else [where]
    return 'torch.load(map_location="cuda")' if any(map(is_cuda, values)) else None


def _cuda_type(args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> Optional[str]:
    asked = str(_argument(args, kwargs, 0, "t"))
    return 'torch.set_default_tensor_type("torch.cuda.FloatTensor")' if "torch.cuda." in asked else None


def _device_type(name: str, args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> Optional[str]:
    asked = _argument(args, kwargs, 1, "device_type" if name == "torch.autocast" else "device")
    if name != "torch.autocast" and asked is None:
        asked = "cuda"  # the default
    return '%s("cuda")' % name if is_cuda(asked) else None


def _nccl(name: str, args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> Optional[str]:
    asked = _argument(args, kwargs, 0 if name == "init_process_group" else 2, "backend")
    return 'torch.distributed.%s(backend="nccl")' % name if "nccl" in str(asked).lower() else None


# -- the last gate -------------------------------------------------------------------------------------------


def _watch_initialization(journal: Journal) -> None:
    """Whatever needs CUDA wakes it first: here nothing gets by, in any thread."""
    original = torch.cuda._lazy_init

    @functools.wraps(original)
    def watched() -> Any:
        if not getattr(journal.quiet, "noted", False):
            place = journal.place(through_torch=True)
            if place is not None and not journal.has_noted(place):
                journal.note("touch", 'device="cuda"', place)
        return original()

    torch.cuda._lazy_init = watched


# -- calls ---------------------------------------------------------------------------------------------------

_MIXED = ("at least two devices", "and weight type")
"""What torch says of operands that are on different devices."""
_MADE_OF = (str, torch.device)
_IS_CUDA = torch.Tensor.is_cuda


class _Calls(TorchFunctionMode):  # type: ignore[misc]
    """Sees every call of torch with its arguments, and where its results are."""

    def __init__(self, journal: Journal, device: Optional[str]) -> None:
        super().__init__()
        self._journal = journal
        self._device = device

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Tuple[Any, ...] = (),
        kwargs: Optional[Dict[str, Any]] = None,
    ) -> Any:
        kwargs = kwargs or {}
        if self._device is not None and kwargs.get("pin_memory"):
            # There is no pinned memory to give: a plain tensor does the same.
            kwargs = {**kwargs, "pin_memory": False}
        subject = self._asked(func, args, kwargs)
        try:
            if subject is None:
                result = func(*args, **kwargs)
            else:
                result = self._noted(subject, func, args, kwargs)
        except RuntimeError as error:
            self._raised(getattr(func, "__name__", str(func)), error)
            raise
        if self._device is not None and getattr(func, "__name__", "") in _COMPUTING:
            self._computed(func.__name__, result)
        return result

    def _asked(self, func: Any, args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> Optional[str]:
        """What of CUDA a call asks for."""
        name = getattr(func, "__name__", "")
        if name == "__get__":
            return "torch.Tensor.is_cuda" if getattr(func, "__self__", None) is _IS_CUDA else None
        if name == "cuda":
            return "torch.Tensor.cuda"
        if is_cuda(kwargs.get("device")):
            return _device_text(func, name, args)
        for value in args:
            if isinstance(value, _MADE_OF):
                if is_cuda(value):
                    return _device_text(func, name, args)
                if name == "type" and str(value).startswith("torch.cuda."):
                    return "torch.Tensor.type(torch.cuda.*Tensor)"
        return None

    def _noted(self, subject: str, func: Any, args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> Any:
        journal = self._journal
        # What torch does to each tensor of a module is the module's affair, and noted there.
        place = journal.place(through_torch=not subject.startswith("torch.Tensor."))
        if place is not None:
            journal.note("touch", subject, place)
        before = getattr(journal.quiet, "noted", False)
        journal.quiet.noted = True
        try:
            return func(*args, **kwargs)
        finally:
            journal.quiet.noted = before

    def _raised(self, name: str, error: RuntimeError) -> None:
        if self._device is not None and any(text in str(error) for text in _MIXED):
            self._journal.note("mixed", name, self._journal.own_place())

    def _computed(self, name: str, result: Any) -> None:
        first = result[0] if isinstance(result, tuple) and result else result
        if isinstance(first, torch.Tensor) and first.device.type == "cpu":
            self._journal.note("cpu", name, self._journal.own_place())


def _device_text(func: Any, name: str, args: Tuple[Any, ...]) -> str:
    if func is torch.device or name == "device":
        return 'torch.device("cuda")'
    if name == "_parse_to":
        return 'torch.nn.Module.to("cuda")'
    method = bool(args) and isinstance(args[0], torch.Tensor)
    return '%s.%s("cuda")' % ("torch.Tensor", name) if method else 'torch.%s(device="cuda")' % name

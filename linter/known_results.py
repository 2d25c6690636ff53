"""What calls of torch's functions and classes, and of well-known libraries' give: a tensor, several, a module.

Torch's own are here; those of a library are in its table (`rules/knowledge/results/`), read when it is first asked for.
"""

from __future__ import annotations

from uncuda.rules.knowledge.results import Results, results
from uncuda.tensor_results import FUNCTIONAL, FUNCTIONS, METHODS, SEVERAL_FUNCTIONS, SEVERAL_METHODS

TENSOR = "tensor"
SEVERAL = "tensors"
MODULE = "module"
MODULES = "modules"
"""A module that gives modules when it is iterated over."""
MOVABLE = "movable"
"""Neither, but moved by `.cuda()` and by `.to()` alike."""

# By hand (torch 2.13.0): what is written in Python, so that the stubs say nothing of it.
_FUNCTIONS = FUNCTIONS | frozenset(
    """block_diag cartesian_prod cdist chain_matmul einsum istft norm stft tensordot where Tensor FloatTensor LongTensor
    IntTensor DoubleTensor HalfTensor ByteTensor BoolTensor ShortTensor CharTensor BFloat16Tensor""".split()
)
_SEVERAL_FUNCTIONS = SEVERAL_FUNCTIONS | {"broadcast_tensors", "meshgrid", "split"}
_METHODS = METHODS | frozenset(
    "cpu cuda double float half istft long new norm share_memory_ stft to unflatten refine_names rename".split()
)
_SEVERAL_METHODS = SEVERAL_METHODS
_REDUCED = frozenset({"max", "min", "median", "nanmedian"})
"""Without an argument a tensor, with a dimension a pair of them."""

_MODULE_METHODS = frozenset(
    "apply bfloat16 cpu cuda double eval float half requires_grad_ share_memory to to_empty train type".split()
)
_GIVES_TENSORS = frozenset({"parameters", "buffers"})
_GIVES_MODULES = frozenset({"children", "modules"})
_NAMED_TENSORS = frozenset({"named_parameters", "named_buffers"})
_NAMED_MODULES = frozenset({"named_children", "named_modules"})

_TABLE: dict[str, str] = {
    "torch.autograd.Variable": TENSOR,  # torch 2.13.0: torch/autograd/variable.py
    "torch.nn.Parameter": TENSOR,
    "torch.nn.parameter.Parameter": TENSOR,
    "torch.nn.Buffer": TENSOR,
    "torch.nn.UninitializedParameter": TENSOR,
    "torch.nn.UninitializedBuffer": TENSOR,
    "torch.nn.parallel.DataParallel": MODULE,
    "torch.nn.parallel.DistributedDataParallel": MODULE,
    "torch.nn.Sequential": MODULES,
    "torch.nn.ModuleList": MODULES,
    "torch.nn.utils.rnn.pad_sequence": TENSOR,  # torch 2.13.0: torch/nn/utils/rnn.py
    "torch.nn.utils.rnn.pack_padded_sequence": MOVABLE,
    "torch.nn.utils.rnn.pack_sequence": MOVABLE,
    "torch.nn.utils.rnn.pad_packed_sequence": SEVERAL,
}
# torch.fft and torch.special have nothing that gives anything else (2.13.0); of torch.linalg these.
_LINALG = frozenset(
    """cholesky cond cross det diagonal eigvals eigvalsh householder_product inv matmul matrix_exp matrix_norm
    matrix_power matrix_rank multi_dot norm pinv solve solve_triangular svdvals tensorinv tensorsolve vander
    vecdot vector_norm""".split()
)
_MODULE_BASES = frozenset({"torch.nn.Module", "torch.nn.modules.Module", "torch.nn.modules.module.Module"})


def of_call(name: str, arguments: int) -> str | None:
    """What `name(…)` gives, `name` being a full dotted name; None where it isn't known."""
    found = _TABLE.get(name)
    if found is not None:
        return found
    head, _, last = name.rpartition(".")
    match head:
        case "torch":
            if last in _FUNCTIONS or (last in _REDUCED and arguments == 1):
                # torch.where(condition) alone gives a tuple.
                return None if last == "where" and arguments < 3 else TENSOR
            return SEVERAL if last in _SEVERAL_FUNCTIONS else None
        case "torch.nn.functional":
            return TENSOR if last in FUNCTIONAL else None
        case "torch.fft" | "torch.special":
            return TENSOR
        case "torch.linalg":
            return TENSOR if last in _LINALG else None
        case "torch.nn" | "torch.nn.modules":
            return MODULE if last[:1].isupper() else None
        case _:
            pass
    library = _library(name)
    return library.of_call(name) if library is not None else None


def is_model(name: str) -> bool:
    """Is this a class of a well-known library whose objects are modules?"""
    library = _library(name)
    return library is not None and library.of_class(name) == MODULE


def is_module_base(name: str) -> bool:
    """Is a class that derives from this one a module?"""
    last = name.rpartition(".")[2]
    return (
        name in _MODULE_BASES
        or (name.startswith("torch.nn.") and last[:1].isupper() and last != "Parameter")
        or is_model(name)
    )


def _library(name: str) -> Results | None:
    """The table of the library that a full name with a dot lies in."""
    library, dot, _ = name.partition(".")
    return results(library) if dot else None


def of_tensor(method: str, arguments: int) -> str | None:
    """What a method of a tensor gives."""
    if method in _METHODS or (method == "type" and arguments) or (method in _REDUCED and not arguments):
        return TENSOR
    return SEVERAL if method in _SEVERAL_METHODS else None


def keeps_tensor(methods: set[str]) -> bool:
    """Is a tensor still one after each of these?"""
    return methods <= _METHODS


def keeps_module(methods: set[str]) -> bool:
    """Is a module still one after each of these?"""
    return methods <= _MODULE_METHODS


def of_module(method: str) -> tuple[str, bool] | None:
    """What a method of a module gives again and again, and whether each comes with a name."""
    for names, told in (
        (_GIVES_TENSORS, (TENSOR, False)),
        (_NAMED_TENSORS, (TENSOR, True)),
        (_GIVES_MODULES, (MODULE, False)),
        (_NAMED_MODULES, (MODULE, True)),
    ):
        if method in names:
            return told
    return None

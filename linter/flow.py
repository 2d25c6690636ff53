"""What an expression holds, as far as one file tells: a device, its text, a CUDA flag, a tensor, a module.

`Flow.value` never guesses: what it can't prove is `UNKNOWN`.
"""

from __future__ import annotations

import builtins
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING

import libcst as cst

from uncuda.bindings import Binding, Place, Scope, dotted, reaching, visible

if TYPE_CHECKING:
    from uncuda.index import ClassFacts, FileIndex


class Kind(Enum):
    """The sort of thing a value is."""

    UNKNOWN = auto()
    DEVICE = auto()  # a torch.device
    TEXT = auto()  # a device as str
    FLAG = auto()  # a condition that is true only where an accelerator is there
    DENIAL = auto()  # a condition that is false only where an accelerator is there
    TENSOR = auto()
    MODULE = auto()
    OBJECT = auto()  # an instance of a class of this file that is neither
    NONE = auto()
    INT = auto()


class Which(Enum):
    """Which device a DEVICE, TEXT, FLAG or DENIAL is about."""

    CUDA = auto()  # cuda and nothing else
    CUDA_OR_CPU = auto()  # cuda where there is one, else cpu
    SELECTED = auto()  # the accelerator where there is one, else cpu
    OTHER = auto()  # anything else that is known: cpu, mps, meta …


@dataclass(frozen=True)
class Value:
    """An abstract value. `index` says whether a device names one: "" none, else the digits or "?"."""

    kind: Kind
    which: Which | None = None
    index: str = ""
    cls: str = ""

    @property
    def is_cuda(self) -> bool:
        """A device, or its text, that is CUDA whatever the machine."""
        return self.kind in (Kind.DEVICE, Kind.TEXT) and self.which is Which.CUDA

    @property
    def selects(self) -> bool:
        """A device without index that is the current accelerator wherever CUDA is the accelerator."""
        return (
            self.kind in (Kind.DEVICE, Kind.TEXT)
            and not self.index
            and self.which in (Which.CUDA, Which.CUDA_OR_CPU, Which.SELECTED)
        )


UNKNOWN = Value(Kind.UNKNOWN)
CUDA_FLAG = Value(Kind.FLAG, Which.CUDA)
ACCELERATOR_FLAG = Value(Kind.FLAG, Which.SELECTED)
_OPPOSITE = {Kind.FLAG: Kind.DENIAL, Kind.DENIAL: Kind.FLAG}

_CUDA_TEXT = re.compile(r"cuda(?::(\d+))?\Z")
_DEVICE_TEXT = re.compile(r"(cpu|cuda|mps|xpu|hpu|npu|mlu|musa|xla|meta|ipu|privateuseone)(?::(\d+))?\Z")
_CUDA_HEAD = re.compile(r"cuda:\Z")

# Calls that give a tensor: torch.<name>(…). Enough to know a receiver; not a list of all that do.
_TENSOR_MAKERS = frozenset(
    """arange as_tensor bernoulli bmm cat clone concat conj cos cumsum diag einsum empty empty_like exp eye
    flatten flip from_numpy full full_like gather hstack index_select linspace log logspace masked_select matmul
    max_pool2d mean meshgrid mm mul multinomial norm normal ones ones_like outer pow rand rand_like randint
    randint_like randn randn_like randperm relu reshape sigmoid sin softmax sparse_coo_tensor sqrt squeeze stack
    sub sum tanh tensor tensordot tile transpose tril triu unsqueeze vstack where zeros zeros_like FloatTensor
    LongTensor IntTensor DoubleTensor HalfTensor ByteTensor BoolTensor Tensor ShortTensor CharTensor
    BFloat16Tensor""".split()
)
# Methods that give back the same sort of thing: tensor from tensor, module from module.
_KEEPS_TENSOR = frozenset(
    """abs add argmax backward bfloat16 bool byte clamp clip clone contiguous cos cpu cuda cumsum detach detach_
    div double exp expand expand_as flatten flip float gather half index_select int item log long masked_fill
    matmul mean mul narrow new new_empty new_full new_ones new_tensor new_zeros norm normal_ permute pin_memory pow
    repeat requires_grad_ reshape scatter_ select share_memory_ sigmoid sin softmax sort split sqrt squeeze sub
    sum t tanh to topk transpose triu tril type type_as unbind uniform_ unsqueeze view view_as zero_""".split()
) - {"backward", "item", "sort", "split", "topk", "unbind"}
_KEEPS_MODULE = frozenset(
    "apply bfloat16 cpu cuda double eval float half requires_grad_ share_memory to to_empty train type".split()
)
# An attribute used on a name says what it is, when nothing else has that attribute.
_ONLY_TENSORS = frozenset(
    """backward contiguous data_ptr detach detach_ dim expand_as index_fill_ is_contiguous masked_fill
    masked_fill_ numel permute requires_grad scatter_ scatter_add_ unsqueeze unsqueeze_ view_as zero_
    is_floating_point index_select grad_fn normal_ uniform_""".split()
)
_ONLY_MODULES = frozenset(
    """load_state_dict named_parameters named_modules named_children named_buffers register_buffer
    register_forward_hook register_forward_pre_hook register_full_backward_hook zero_grad""".split()
)


def _told_by(attribute: str, called: bool) -> Kind:
    """What an object is when `attribute` is read (or called) on it."""
    if attribute in _ONLY_TENSORS or (called and attribute in ("size", "view")):
        return Kind.TENSOR
    if attribute in _ONLY_MODULES or (called and attribute in ("parameters", "modules")):
        return Kind.MODULE
    return Kind.UNKNOWN


def string_value(node: cst.CSTNode) -> str | None:
    """The text of a plain or implicitly joined string literal; None for anything else (bytes too)."""
    if isinstance(node, cst.SimpleString):
        if "b" in node.prefix.lower():
            return None
        raw = node.raw_value
        if "\\" in raw and "r" not in node.prefix.lower():
            value = node.evaluated_value
            return value if isinstance(value, str) else None
        return raw
    if isinstance(node, cst.ConcatenatedString):
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


def indexed_cuda_text(node: cst.CSTNode) -> cst.BaseExpression | None:
    """The index expression of a computed "cuda:N" text, or None when `node` isn't one."""
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


# Steps that one question may take: a name that is rebound through itself twenty times has 20⁴ ways to be read.
_BUDGET = 400


def _negated(value: Value) -> Value:
    """`not` of a condition."""
    kind = _OPPOSITE.get(value.kind)
    return UNKNOWN if kind is None else replace(value, kind=kind)


def _own_method(binding: Binding) -> str | None:
    """The last method in `x = x.first().last()`, which defines a name by itself; None for any other binding."""
    if binding.kind != "assign" or binding.value is None:
        return None
    node = binding.value()
    if not isinstance(node, cst.Call) or not isinstance(node.func, cst.Attribute):
        return None
    base: cst.BaseExpression = node.func.value
    while isinstance(base, cst.Call) and isinstance(base.func, cst.Attribute):
        base = base.func.value
    return node.func.attr.value if isinstance(base, cst.Name) and base.value == binding.name else None


class Flow:
    """Names and values as seen from one place of a tree: below `ancestors`, or at the statement `at` of `scope`."""

    def __init__(
        self,
        index: FileIndex,
        scope: Scope,
        ancestors: Sequence[cst.CSTNode],
        owner: ClassFacts | None,
        at: Place | None = None,
    ) -> None:
        self.index = index
        self.scope = scope
        self.ancestors = ancestors
        self.owner = owner
        self._places: dict[int, Place | None] = {} if at is None else {id(scope): at}
        self._depth = 0
        self._budget = [0]

    # -- names ---------------------------------------------------------------------------------------------

    def bindings(self, name: str) -> tuple[Scope, list[Binding]] | None:
        """The bindings of `name` that can reach this place, with the scope that owns them."""
        return reaching(self.scope, name, self.place_in)

    def place_in(self, scope: Scope) -> Place | None:
        """The statement of `scope` that this place is in, where it is known."""
        key = id(scope)
        if key not in self._places:
            places = scope.places
            found = None
            for node in reversed(self.ancestors):
                if node is scope.node:
                    break
                found = places.get(id(node))
                if found is not None:
                    break
            self._places[key] = found
        return self._places[key]

    def qualified(self, node: cst.CSTNode | None) -> str | None:
        """The full dotted name that `node` stands for through imports and aliases ("torch.cuda.Event")."""
        parts: list[str] = []
        while isinstance(node, cst.Attribute):
            parts.append(node.attr.value)
            node = node.value
        if not isinstance(node, cst.Name):
            return None
        head = self._import_of(node.value)
        if head is None:
            return None
        return ".".join([head, *reversed(parts)]) if parts else head

    def _import_of(self, name: str) -> str | None:
        """What a plain name stands for: an import of it that reaches the place (another binding may come instead, where
        the import fails), or a dotted name that is assigned to it."""
        found = self.bindings(name)
        if found is None:
            return name if self.index.star_import and name == "torch" else None
        scope, reached = found
        imported = {b.target for b in reached if b.kind == "import"}
        if imported:
            return imported.pop() if len(imported) == 1 else None
        if self._depth > 4 or not all(b.kind == "assign" and b.target for b in reached):
            return None
        self._depth += 1
        try:
            told = {self._in(scope, b)._resolved(b.target) for b in reached if b.target != name}
        finally:
            self._depth -= 1
        return told.pop() if len(told) == 1 else None

    def _resolved(self, name: str) -> str | None:
        head, _, rest = name.partition(".")
        full = self._import_of(head)
        return f"{full}.{rest}" if full is not None and rest else full

    def _in(self, scope: Scope, binding: Binding | None = None) -> Flow:
        """The same file seen from another scope: from where `binding` stands, else from no certain place."""
        other = Flow(self.index, scope, (), self.owner, binding.place if binding is not None else None)
        other._depth = self._depth
        other._budget = self._budget
        return other

    def outside(self) -> Flow:
        """The file as seen from its top level."""
        module = self.scope
        while module.parent is not None:
            module = module.parent
        return self._in(module)

    # -- values --------------------------------------------------------------------------------------------

    def value(self, node: cst.CSTNode | None) -> Value:
        """What `node` holds."""
        if self._depth == 0:
            self._budget[0] = _BUDGET
        self._budget[0] -= 1
        if node is None or self._depth > 8 or self._budget[0] < 0:
            return UNKNOWN
        self._depth += 1
        try:
            return self._value(node)
        finally:
            self._depth -= 1

    def _value(self, node: cst.CSTNode) -> Value:
        text = device_text(node)
        if text is not None:
            return text
        match node:
            case cst.Name("None"):
                return Value(Kind.NONE)
            case cst.Integer():
                return Value(Kind.INT, index=node.value)
            case cst.Name(name):
                return self._name(name)
            case cst.Attribute():
                return self._attribute(node)
            case cst.Call():
                return self._call(node)
            case cst.IfExp():
                return self._conditional(node)
            case cst.UnaryOperation(operator=cst.Not()):
                return _negated(self.value(node.expression))
            case cst.BooleanOperation():
                return self._both(self.value(node.left), self.value(node.right), node)
            case cst.Comparison():
                return self._comparison(node)
            case cst.BinaryOperation():
                left, right = self.value(node.left), self.value(node.right)
                return next((v for v in (left, right) if v.kind is Kind.TENSOR), UNKNOWN)
            case cst.NamedExpr():
                return self.value(node.value)
            case cst.Subscript():
                inner = self.value(node.value)
                return inner if inner.kind is Kind.TENSOR else UNKNOWN
            case _:
                return UNKNOWN

    def _name(self, name: str) -> Value:
        found = self.bindings(name)
        if found is None:
            return UNKNOWN
        scope, reached = found
        value = self._agreed(scope, reached)
        return self._by_use(name, scope) if value.kind is Kind.UNKNOWN else value

    def _agreed(self, scope: Scope, reached: list[Binding]) -> Value:
        """What a name holds that one of these bindings gave a value: what they have in common."""
        told = [(b, self._bound(scope, b)) for b in reached]
        # An annotation alone changes nothing.
        told = [(b, v) for b, v in told if b.kind != "declare" or v.kind is not Kind.UNKNOWN] or told[:1]
        reached, values = [b for b, _ in told], [v for _, v in told]
        first = values[0]
        if first.kind is Kind.UNKNOWN or all(v == first for v in values):
            return first
        if any(v.kind is not first.kind for v in values):
            return UNKNOWN
        if first.kind in (Kind.TENSOR, Kind.MODULE):
            return Value(first.kind)
        if first.kind in (Kind.DEVICE, Kind.TEXT):
            return self._selected(scope, reached, values)
        return UNKNOWN

    def _selected(self, scope: Scope, reached: list[Binding], values: list[Value]) -> Value:
        """A device that `if` statements choose."""
        which = {v.which for v in values} - {Which.OTHER}
        chosen = [(b, v) for b, v in zip(reached, values, strict=True) if v.which is not Which.OTHER]
        if len(which) == 1 and all(v.index == chosen[0][1].index for _, v in chosen):
            only = which.pop()
            if only is Which.CUDA and all(self._under_flag(scope, b) for b, _ in chosen):
                return Value(values[0].kind, Which.CUDA_OR_CPU, chosen[0][1].index)
            if only is Which.CUDA_OR_CPU or (
                only is Which.SELECTED and all(self._under_flag(scope, b) for b, _ in chosen)
            ):
                return Value(values[0].kind, only, chosen[0][1].index)
        return Value(values[0].kind)

    def _under_flag(self, scope: Scope, binding: Binding) -> bool:
        """Is the binding made only where an accelerator is there?"""
        if binding.test is None:
            return False
        kind = self._in(scope, binding).value(binding.test.condition()).kind
        return kind is (Kind.FLAG if binding.test.holds else Kind.DENIAL)

    def _bound(self, scope: Scope, binding: Binding) -> Value:
        if binding.annotation is not None:
            told = self._annotated(scope, binding.annotation())
            if told.kind is not Kind.UNKNOWN:
                return told
        if binding.kind == "assign" and binding.value is not None:
            return self._in(scope, binding).value_of_binding(binding)
        return UNKNOWN

    def value_of_binding(self, binding: Binding) -> Value:
        """What an assignment bound, unless it is defined by itself (`x = x.cuda()`)."""
        assert binding.value is not None
        if _own_method(binding) is None:
            return self.value(binding.value())
        # x = x.method(): what x is by its other bindings, if every such method keeps it that.
        found = self.scope.bindings().get(binding.name, [])
        if not found or self._depth > 8:
            return UNKNOWN
        methods = {_own_method(b) for b in found}
        self._depth += 1
        kinds = {self._bound(self.scope, b).kind for b in found if _own_method(b) is None}
        self._depth -= 1
        kind = kinds.pop() if len(kinds) == 1 else Kind.UNKNOWN
        kept = {Kind.TENSOR: _KEEPS_TENSOR, Kind.MODULE: _KEEPS_MODULE}.get(kind)
        return Value(kind) if kept and methods - {None} <= kept else UNKNOWN

    def _annotated(self, scope: Scope, node: cst.BaseExpression) -> Value:
        text = string_value(node)
        if text is not None:
            try:
                node = cst.parse_expression(text)
            except cst.ParserSyntaxError:
                return UNKNOWN
        if isinstance(node, cst.BinaryOperation):  # X | None
            sides = [n for n in (node.left, node.right) if dotted(n) != "None"]
            return self._annotated(scope, sides[0]) if len(sides) == 1 else UNKNOWN
        if isinstance(node, cst.Subscript) and (dotted(node.value) or "").split(".")[-1] == "Optional":
            match node.slice:
                case [cst.SubscriptElement(slice=cst.Index(value=inner))]:
                    return self._annotated(scope, inner)
        name = self._in(scope).qualified(node) or dotted(node) or ""
        if name in ("torch.Tensor", "torch.nn.Parameter", "torch.nn.parameter.Parameter") or re.fullmatch(
            r"torch\.\w*Tensor", name
        ):
            return Value(Kind.TENSOR)
        if name in ("torch.nn.Module", "torch.nn.modules.module.Module"):
            return Value(Kind.MODULE)
        if name == "torch.device":
            return Value(Kind.DEVICE)
        return self._instance(name)

    def _by_use(self, name: str, scope: Scope) -> Value:
        """A tensor or a module by what the function, or the file, asks of it elsewhere."""
        uses = self.index.uses if scope.kind == "module" else scope.uses
        kinds = {_told_by(attribute, called) for attribute, called in uses.get(name, ())}
        kinds.discard(Kind.UNKNOWN)
        return Value(kinds.pop()) if len(kinds) == 1 else UNKNOWN

    def _attribute(self, node: cst.Attribute) -> Value:
        if isinstance(node.value, cst.Name) and node.value.value == "self" and self.owner is not None:
            return self.member(node.attr.value)
        name = self.qualified(node)
        if (
            name is not None
            and name.startswith("torch.")
            and name.count(".") == 1
            and name.endswith("Tensor")
        ):
            return UNKNOWN
        if isinstance(node.value, cst.Name):
            told = self._member_of(node.value.value, node.attr.value)
            if told.kind is not Kind.UNKNOWN:
                return told
        base = self.value(node.value)
        match node.attr.value:
            case "type" if base.kind is Kind.DEVICE:
                return Value(Kind.TEXT, base.which)
            case "data" | "grad" | "T" | "mT" | "real" | "imag" if base.kind is Kind.TENSOR:
                return base
            case _:
                return UNKNOWN

    def member(self, attribute: str) -> Value:
        """What `self.<attribute>` holds in the class at hand, when all its bindings agree."""
        if self.owner is None:
            return UNKNOWN
        if self._depth == 0:
            self._budget[0] = _BUDGET
        found = self.owner.attributes().get(attribute, [])
        module = self.scope
        while module.parent is not None:
            module = module.parent
        values = {self._attribute_bound(b, module) for b in found}
        return values.pop() if len(values) == 1 else UNKNOWN

    def _attribute_bound(self, binding: Binding, module: Scope) -> Value:
        if binding.kind != "assign" or binding.value is None:
            return UNKNOWN
        scope = module
        if binding.names is not None:
            scope = Scope("function", None, module, names=binding.names())
        return self._in(scope, binding if scope is not module else None).value(binding.value())

    def _member_of(self, owner: str, attribute: str) -> Value:
        """What `owner.attribute` holds by the assignments to it that are in sight (`args.cuda = …`)."""
        name = f"{owner}.{attribute}"
        here: Scope | None = self.scope
        inner = False
        while here is not None:
            owned = here.bindings().get(owner, [])
            found = here.members.get(name)
            if found:
                place = None if inner else self.place_in(here)
                if place is not None:
                    # Where the object itself is another, its attributes are too.
                    found = visible(sorted((*found, *owned), key=lambda b: b.order), place)
                return self._agreed(here, [b if b.name == name else replace(b, kind="other") for b in found])
            if owned:
                return UNKNOWN
            inner = inner or not here.immediate
            here = here.parent
        return UNKNOWN

    def _call(self, node: cst.Call) -> Value:
        name = self.qualified(node.func)
        if name is not None:
            told = self._known_call(name, node)
            if told is not None:
                return told
        if isinstance(node.func, cst.Attribute):
            base = self.value(node.func.value)
            method = node.func.attr.value
            if base.kind is Kind.TENSOR and method in _KEEPS_TENSOR:
                return base
            if base.kind is Kind.MODULE and method in _KEEPS_MODULE:
                return base
        elif isinstance(node.func, cst.Name):
            if node.func.value == "str" and len(node.args) == 1:
                inner = self.value(node.args[0].value)
                if inner.kind in (Kind.DEVICE, Kind.TEXT):
                    return Value(Kind.TEXT, inner.which, inner.index)
            if node.func.value == "bool" and len(node.args) == 1:
                inner = self.value(node.args[0].value)
                return inner if inner.kind in _OPPOSITE else UNKNOWN
            return self._instance(node.func.value)
        return UNKNOWN

    def _known_call(self, name: str, node: cst.Call) -> Value | None:
        match name:
            case "torch.device":
                return self._device_call(node)
            case "torch.cuda.is_available":
                return CUDA_FLAG
            case "torch.accelerator.is_available":
                return ACCELERATOR_FLAG
            case "torch.accelerator.current_accelerator":
                return Value(Kind.DEVICE, Which.SELECTED)
            case "torch.nn.DataParallel" | "torch.nn.parallel.DistributedDataParallel":
                return Value(Kind.MODULE)
            case _:
                pass
        head, _, last = name.rpartition(".")
        if head == "torch" and last in _TENSOR_MAKERS:
            return Value(Kind.TENSOR)
        if head in ("torch.nn", "torch.nn.modules") and last[:1].isupper():
            return Value(Kind.TENSOR if last == "Parameter" else Kind.MODULE)
        if head == "torch.autograd" and last == "Variable":
            return Value(Kind.TENSOR)
        if head == "torchvision.models":
            return Value(Kind.MODULE)
        return None

    def _device_call(self, node: cst.Call) -> Value:
        given = argument(node, "device", 0) or argument(node, "type", 0)
        if given is None:
            return UNKNOWN
        inner = self.value(given.value)
        index = argument(node, "index", 1)
        if inner.kind not in (Kind.TEXT, Kind.DEVICE):
            return UNKNOWN
        if index is not None:
            return Value(Kind.DEVICE, inner.which, "?")
        return Value(Kind.DEVICE, inner.which, inner.index)

    def _conditional(self, node: cst.IfExp) -> Value:
        body, other = self.value(node.body), self.value(node.orelse)
        if body.kind in (Kind.DEVICE, Kind.TEXT) and other.kind is body.kind:
            test = self.value(node.test)
            if test.kind is Kind.DENIAL:
                test, body, other = _negated(test), other, body
            if test.kind is Kind.FLAG and other.which is Which.OTHER:
                if body.which is Which.CUDA:
                    return Value(body.kind, Which.CUDA_OR_CPU, body.index)
                if body.which is Which.SELECTED:
                    return Value(body.kind, Which.SELECTED, body.index)
            return body if body == other else Value(body.kind)
        if body.kind is other.kind and body.kind in (Kind.TENSOR, Kind.MODULE):
            return Value(body.kind)
        return UNKNOWN

    def _both(self, left: Value, right: Value, node: cst.BooleanOperation) -> Value:
        """Of `and`: true only where both sides are, false where one of them is. Of `or` the other way round."""
        decides, needs = (
            (Kind.FLAG, Kind.DENIAL) if isinstance(node.operator, cst.And) else (Kind.DENIAL, Kind.FLAG)
        )
        for side in (left, right):
            if side.kind is decides:
                return side
        if left.kind is needs and right.kind is needs:
            return left if left.which is right.which else Value(needs, Which.SELECTED)
        if (
            isinstance(node.operator, cst.Or)
            and left.kind is Kind.DEVICE
            and left.which is Which.SELECTED
            and right.kind is Kind.DEVICE
            and right.which is Which.OTHER
        ):
            return left
        return UNKNOWN

    def _comparison(self, node: cst.Comparison) -> Value:
        match node.comparisons:
            case [
                cst.ComparisonTarget(operator=(cst.Equal() | cst.NotEqual()) as operator, comparator=right)
            ]:
                if any(self.value(side).is_cuda for side in (node.left, right)):
                    return CUDA_FLAG if isinstance(operator, cst.Equal) else _negated(CUDA_FLAG)
        return UNKNOWN

    def _instance(self, name: str) -> Value:
        facts = self.index.classes.get(name)
        if facts is None:
            return UNKNOWN
        if self.is_module(facts):
            return Value(Kind.MODULE, cls=name)
        return Value(Kind.OBJECT, cls=name) if self._is_plain(facts) else UNKNOWN

    def _is_plain(self, facts: ClassFacts, depth: int = 0) -> bool:
        """Is the class neither a module nor a tensor for certain: are all its bases this file's, or Python's own?"""
        if {"cuda", "to"} & facts.methods:
            return True
        for base in facts.bases:
            inner = self.index.classes.get(base)
            if inner is not None and inner is not facts and depth < 5:
                if not self._is_plain(inner, depth + 1):
                    return False
                continue
            head = self._full(base).partition(".")[0]
            if head not in sys.stdlib_module_names and not hasattr(builtins, base):
                return False
        return True

    def _full(self, base: str) -> str:
        head, _, rest = base.partition(".")
        return ".".join(filter(None, [self.index.aliases.get(head, head), rest]))

    def is_module(self, facts: ClassFacts, depth: int = 0) -> bool:
        """Is the class an nn.Module, as far as this file tells, that doesn't bring its own `cuda` or `to`?"""
        if {"cuda", "to"} & facts.methods or depth > 5:
            return False
        for base in facts.bases:
            full = self._full(base)
            if full in ("torch.nn.Module", "torch.nn.modules.Module") or (
                full.startswith("torch.nn.")
                and full.rpartition(".")[2][:1].isupper()
                and full != "torch.nn.Parameter"
            ):
                return True
            inner = self.index.classes.get(base)
            if inner is not None and inner is not facts and self.is_module(inner, depth + 1):
                return True
        return False

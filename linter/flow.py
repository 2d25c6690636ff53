"""What an expression holds, as far as one file tells: a device, its text, a CUDA flag, a tensor, a module.

`Flow.value` never guesses: what it can't prove is `UNKNOWN`.
"""

from __future__ import annotations

import builtins
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from uncuda import known_results
from uncuda.bindings import EACH, Binding, Place, Scope, dotted, reaching, visible
from uncuda.literals import argument, device_text, string_value
from uncuda.narrowing import narrowed
from uncuda.values import (
    ACCELERATOR_FLAG,
    CUDA_FLAG,
    MODULE,
    TENSOR,
    UNKNOWN,
    Kind,
    Value,
    Which,
    condition_of,
    joined,
    many,
    negated,
    part,
    stated,
)
from uncuda.walk import walk_scope

if TYPE_CHECKING:
    from uncuda.index import ClassFacts, FileIndex


_ON_CUDA = Value(Kind.FLAG, Which.CUDA, partly=True)
_NOT_ON_HOST = Value(Kind.FLAG, Which.SELECTED, partly=True)
_COUNTS = {"torch.cuda.device_count": Which.CUDA, "torch.accelerator.device_count": Which.SELECTED}
_MIRRORED: dict[type[object], type[object]] = {
    cst.LessThan: cst.GreaterThan,
    cst.LessThanEqual: cst.GreaterThanEqual,
    cst.GreaterThan: cst.LessThan,
    cst.GreaterThanEqual: cst.LessThanEqual,
}
_DENIED: dict[type[object], type[object]] = {
    cst.LessThan: cst.GreaterThanEqual,
    cst.LessThanEqual: cst.GreaterThan,
    cst.Equal: cst.NotEqual,
    cst.NotEqual: cst.Equal,
}
_HOST = frozenset({"cpu", "meta"})
_OPTIONS = re.compile(r"(?:\A|[._])(?:self|cls|args?|opts?|options|conf|cfg|config|hparams|flags|platform)\Z")


_BUILTINS = frozenset(
    "bool dict enumerate filter frozenset iter list map next reversed set sorted str tuple zip".split()
)
# Annotations, from collections.abc, typing and the built-in names.
_GENERIC_MANY = frozenset(
    """list List set Set frozenset FrozenSet tuple Tuple deque Deque Sequence MutableSequence Iterable Iterator
    Collection AbstractSet""".split()
)
_GENERIC_TABLES = frozenset("dict Dict Mapping MutableMapping OrderedDict DefaultDict defaultdict".split())


# Steps that one question may take: a name that is rebound through itself twenty times has 20⁴ ways to be read.
_BUDGET = 400


def _keeps(kind: Kind, methods: set[str]) -> bool:
    """Does a value stay what it is through all these methods?"""
    if kind is Kind.TENSOR:
        return known_results.keeps_tensor(methods)
    if kind is Kind.BATCH:
        return known_results.keeps_tensor(methods) and not any(map(_of_containers, methods))
    if kind is Kind.MOVABLE:
        return known_results.keeps_tensor(methods) and known_results.keeps_module(methods)
    return kind is Kind.MODULE and known_results.keeps_module(methods)


def _named(arg: cst.Arg) -> str:
    """A keyword argument's name (`x`; `x=None` for that; stars where it has none)."""
    if arg.keyword is None:
        return arg.star
    return f"{arg.keyword.value}=None" if dotted(arg.value) == "None" else arg.keyword.value


def _of_containers(method: str) -> bool:
    """Has something in a batch that isn't a tensor such a method?"""
    return any(hasattr(kind, method) for kind in (str, bytes, dict, list, tuple))


def _number(node: cst.BaseExpression) -> int:
    """The number that a literal index is; one that fits no tuple for any other."""
    match node:
        case cst.Integer(value=digits) if digits.isdigit():
            return int(digits)
        case cst.UnaryOperation(operator=cst.Minus(), expression=cst.Integer(value=digits)) if (
            digits.isdigit()
        ):
            return -int(digits)
        case _:
            return sys.maxsize


def _is_none(binding: Binding) -> bool:
    value = binding.value() if binding.value is not None else None
    return isinstance(value, cst.Name) and value.value == "None"


def _at_least_one(operator: type[object], number: int) -> bool:
    """Is a count at least one where it compares so with a number?"""
    if operator is cst.NotEqual:
        return number == 0
    return number >= (0 if operator is cst.GreaterThan else 1) and operator in (
        cst.GreaterThan,
        cst.GreaterThanEqual,
        cst.Equal,
    )


def _just_one(operator: type[object], number: int) -> bool:
    """Does a comparison that holds for one accelerator or more ask for no more than one?"""
    return (operator, number) in ((cst.GreaterThan, 0), (cst.GreaterThanEqual, 1), (cst.NotEqual, 0))


def _holds_options(node: cst.BaseExpression) -> bool:
    """Is this an object whose attributes are anybody's, by its name?"""
    return bool(_OPTIONS.search((dotted(node) or "").lower()))


def _is_type(node: cst.BaseExpression) -> bool:
    """Is this the type of a device, as what it is compared with will tell?"""
    return isinstance(node, cst.Attribute) and node.attr.value == "type"


def _names_host(node: cst.BaseExpression) -> bool:
    """Is this "cpu", or a display of it and other devices that are no accelerators?"""
    if isinstance(node, (cst.Tuple, cst.List, cst.Set)):
        texts = {string_value(e.value) for e in node.elements}
        return "cpu" in texts and texts <= _HOST
    return string_value(node) == "cpu"


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


def _kept_by(binding: Binding) -> list[str] | None:
    """The methods in `self.x = self.x.first().last()`, which defines an attribute by itself; None for others."""
    node = binding.value() if binding.kind == "assign" and binding.value is not None else None
    methods: list[str] = []
    while isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
        methods.append(node.func.attr.value)
        node = node.func.value
    return methods if methods and dotted(node) == f"self.{binding.name}" else None


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

    @classmethod
    def of_module(cls, index: FileIndex) -> Flow:
        """A file as seen from its top level, from no certain place."""
        return cls(index, Scope("module", None, None, names=index.bindings, members=index.members), (), None)

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
        the import fails), or a dotted name that is assigned to it (and else None, where there is none)."""
        found = self.bindings(name)
        if found is None:
            return name if self.index.star_import and name == "torch" else None
        scope, reached = found
        imported = {b.target for b in reached if b.kind == "import"}
        if imported:
            return imported.pop() if len(imported) == 1 else None
        if self._depth > 4 or not any(b.target for b in reached):
            return None
        if not all(b.kind == "assign" and (b.target or _is_none(b)) for b in reached):
            return None
        self._depth += 1
        try:
            told = {self._in(scope, b)._resolved(b.target) for b in reached if b.target not in ("", name)}
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
                return self._asked(node, self._name(name))
            case cst.Attribute():
                return self._asked(node, self._attribute(node))
            case cst.Call():
                return self._call(node)
            case cst.IfExp():
                return self._conditional(node)
            case cst.UnaryOperation(operator=cst.Not()):
                return negated(self.value(node.expression))
            case cst.BooleanOperation():
                return self._both(self.condition(node.left), self.condition(node.right), node)
            case cst.Comparison():
                return self._comparison(node)
            case cst.BinaryOperation():
                return self._operation(node)
            case cst.UnaryOperation():
                inner = self.value(node.expression)
                return inner if inner.kind is Kind.TENSOR else UNKNOWN
            case cst.NamedExpr():
                return self.value(node.value)
            case cst.Subscript():
                return self._asked(node, self._subscript(node))
            case cst.Tuple() | cst.List() | cst.Set():
                return self._display(node)
            case cst.Dict():
                return many([self._entry(e) for e in node.elements], Kind.TABLE)
            case cst.ListComp() | cst.SetComp() | cst.GeneratorExp():
                return many([self._within(node).value(node.elt)])
            case cst.DictComp():
                return many([self._within(node).value(node.value)], Kind.TABLE)
            case _:
                return UNKNOWN

    def _operation(self, node: cst.BinaryOperation) -> Value:
        if string_value(node.left) is not None or isinstance(node.left, cst.FormattedString):
            return UNKNOWN
        left, right = self.value(node.left), self.value(node.right)
        if Kind.TENSOR in (left.kind, right.kind):
            return TENSOR
        if isinstance(node.operator, cst.Add) and {left.kind, right.kind} <= {Kind.MANY, Kind.PARTS}:
            return many([*left.parts, *right.parts])
        return (
            many(left.parts)
            if isinstance(node.operator, cst.Multiply) and left.kind is Kind.MANY
            else UNKNOWN
        )

    def _subscript(self, node: cst.Subscript) -> Value:
        inner = self.value(node.value)
        match node.slice:
            case _ if inner.kind in (Kind.TENSOR, Kind.BATCH):
                return inner
            case [cst.SubscriptElement(slice=cst.Slice())]:
                return many(inner.parts) if inner.kind in (Kind.MANY, Kind.PARTS) else UNKNOWN
            case [cst.SubscriptElement(slice=cst.Index(value=at))]:
                if inner.kind is Kind.TABLE:
                    return inner.parts[0]
                if inner.kind is Kind.PARTS:
                    return part(inner, _number(at))
                return part(inner, EACH)
            case _:
                return UNKNOWN

    def _display(self, node: cst.Tuple | cst.List | cst.Set) -> Value:
        if any(isinstance(e, cst.StarredElement) for e in node.elements):
            return UNKNOWN
        parts = tuple(self.value(e.value) for e in node.elements)
        if isinstance(node, cst.Tuple) and any(p.kind is not Kind.UNKNOWN for p in parts):
            return Value(Kind.PARTS, parts=parts)
        return many(parts)

    def _entry(self, element: cst.BaseDictElement) -> Value:
        return self.value(element.value) if isinstance(element, cst.DictElement) else UNKNOWN

    def _within(self, node: cst.BaseComp) -> Flow:
        """The same place, inside a comprehension."""
        return self._nested(Scope("function", node, self.scope), [*self.ancestors, node])

    def _nested(self, scope: Scope, ancestors: Sequence[cst.CSTNode]) -> Flow:
        other = Flow(self.index, scope, ancestors, self.owner)
        other._places = dict(self._places)
        other._depth = self._depth
        other._budget = self._budget
        return other

    def inside(self, function: Scope, path: Sequence[cst.CSTNode]) -> Flow:
        """The end of a path in a function with a tree of its own; this is the module that it is in."""
        other = self._nested(function, path)
        other._places = {}
        return other

    def _asked(self, node: cst.BaseExpression, value: Value) -> Value:
        """The value of something that a test around the place may have told more of."""
        if value.kind is not Kind.UNKNOWN or not self.ancestors:
            return value
        return narrowed(node, self)

    def _name(self, name: str) -> Value:
        found = self.bindings(name)
        if found is None:
            return UNKNOWN
        scope, reached = found
        value = self._agreed(scope, reached)
        if value.kind is not Kind.UNKNOWN:
            return value
        if isinstance(scope.node, cst.Lambda):
            return self._lambda_parameter(name, scope.node)
        if name == "self" and self.owner is not None and len(reached) == 1 and reached[0].kind == "param":
            # What isn't a module by itself may be one in the classes that derive from it.
            made = self._instance(self.owner.name)
            return made if made.kind is Kind.MODULE else UNKNOWN
        return UNKNOWN

    def _lambda_parameter(self, name: str, node: cst.Lambda) -> Value:
        """What a lambda is given by the call that it is an argument of."""
        at = next((i for i, above in enumerate(self.ancestors) if above is node), 0)
        number = next((i for i, p in enumerate(node.params.params) if p.name.value == name), -1)
        if at < 2 or number < 0 or not isinstance(call := self.ancestors[at - 2], cst.Call):
            return UNKNOWN
        scope = self.scope
        while scope.node is not node:
            if scope.parent is None:
                return UNKNOWN
            scope = scope.parent
        around = self._nested(scope.parent or scope, self.ancestors[: at - 1])
        match call.func, call.args:
            case cst.Name("map" | "filter"), [cst.Arg(value=given), *others] if given is node:
                return part(around.value(others[number].value), EACH) if number < len(others) else UNKNOWN
            case cst.Name("sorted" | "min" | "max"), [cst.Arg(value=items), *_] if items is not node:
                return part(around.value(items), EACH)
            case cst.Attribute(value=owner, attr=cst.Name("apply" | "_apply" as method)), _:
                if around.value(owner).kind is Kind.MODULE:
                    return MODULE if method == "apply" else TENSOR
                return UNKNOWN
            case _:
                return UNKNOWN

    def _agreed(self, scope: Scope, reached: list[Binding]) -> Value:
        """What a name holds that one of these bindings gave a value: what they have in common."""
        told = [(b, self._bound(scope, b)) for b in reached]
        # An annotation alone changes nothing.
        told = [(b, v) for b, v in told if b.kind != "declare" or v.kind is not Kind.UNKNOWN] or told[:1]
        reached, values = [b for b, _ in told], [v for _, v in told]
        first = values[0]
        if all(v == first for v in values):
            return first
        if first.kind in (Kind.DEVICE, Kind.TEXT) and all(v.kind is first.kind for v in values):
            return self._selected(scope, reached, values)
        return joined(values)

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
        told = self._in(scope, binding).condition(binding.test.condition())
        return told.kind is (Kind.FLAG if binding.test.holds else Kind.DENIAL) and not told.partly

    def condition(self, node: cst.BaseExpression) -> Value:
        """What `node` says as a condition."""
        return condition_of(self.value(node))

    def _bound(self, scope: Scope, binding: Binding) -> Value:
        if binding.annotation is not None:
            told = self._annotated(scope, binding.annotation())
            if told.kind is not Kind.UNKNOWN:
                return told
        if binding.kind == "assign" and binding.value is not None:
            value = self._in(scope, binding).value_of_binding(binding)
        elif binding.whole is not None:
            comprehension = scope.immediate and scope.kind == "function"
            around = self._nested(scope, self.ancestors) if comprehension else self._in(scope, binding)
            value = around.value(binding.whole())
            for step in binding.steps:
                value = part(value, step)
        elif binding.kind == "import":
            return self._imported(binding.target)
        else:
            return UNKNOWN
        # Something else may be put into it afterwards.
        changing = value.kind in (Kind.MANY, Kind.TABLE) and self.index.changes(binding.name)
        return UNKNOWN if changing else value

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
        return Value(kind) if _keeps(kind, {m for m in methods if m is not None}) else UNKNOWN

    def annotated(self, node: cst.BaseExpression) -> Value:
        """What an annotation at this place says."""
        return self._annotated(self.scope, node)

    def _annotated(self, scope: Scope, node: cst.BaseExpression) -> Value:
        text = string_value(node)
        if text is not None:
            try:
                node = cst.parse_expression(text)
            except cst.ParserSyntaxError:
                return UNKNOWN
        if isinstance(node, cst.BinaryOperation):  # X | None
            return joined([self._annotated(scope, n) for n in (node.left, node.right)])
        if isinstance(node, cst.Subscript):
            return self._generic(scope, node)
        name = self._in(scope).qualified(node) or dotted(node) or ""
        if name == "None":
            return Value(Kind.NONE)
        if name == "torch.device":
            return Value(Kind.DEVICE)
        return self.instance_of(name)

    def _generic(self, scope: Scope, node: cst.Subscript) -> Value:
        """What an annotation such as `list[Tensor]` says."""
        name = (dotted(node.value) or "").rpartition(".")[2]
        given = [e.slice.value for e in node.slice if isinstance(e.slice, cst.Index)]
        if len(given) == 1 and isinstance(given[0], cst.Tuple):
            given = [e.value for e in given[0].elements]
        parts = [self._annotated(scope, g) for g in given if not isinstance(g, cst.Ellipsis)]
        if not parts:
            return UNKNOWN
        if name in ("Optional", "Union", "Annotated", "Final", "ClassVar"):
            return joined(parts[:1] if name == "Annotated" else parts)
        if name in ("tuple", "Tuple") and len(parts) == len(given):
            return Value(Kind.PARTS, parts=tuple(parts))
        if name in _GENERIC_MANY and len(parts) == 1:
            return many(parts)
        return many(parts[1:], Kind.TABLE) if name in _GENERIC_TABLES and len(parts) == 2 else UNKNOWN

    def instance_of(self, name: str) -> Value:
        """An object of the class with this full name, or of one that derives from it."""
        told = stated(known_results.of_class(name))
        if told.kind is Kind.MODULE:
            # A class of this file that moves itself may derive from it.
            return UNKNOWN if self.index.moves_itself else MODULE
        return told if told.kind is not Kind.UNKNOWN else self._instance(name)

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
        if name is not None:
            told = self._imported(name)
            if told.kind is not Kind.UNKNOWN:
                return told
        return self._part_of(node.attr.value, node.value)

    def _part_of(self, attribute: str, owner: cst.BaseExpression) -> Value:
        """What an attribute holds by what has it, which is looked at for these attributes alone."""
        match attribute:
            case "is_cuda":
                asked = not _holds_options(owner) or self.value(owner).kind is Kind.TENSOR
                return _ON_CUDA if asked else UNKNOWN
            case "type":
                base = self.value(owner)
                return Value(Kind.TEXT, base.which) if base.kind is Kind.DEVICE else UNKNOWN
            case "data" | "grad" | "T" | "mT" | "real" | "imag":
                base = self.value(owner)
                return base if base.kind is Kind.TENSOR else UNKNOWN
            case _:
                return UNKNOWN

    def member(self, attribute: str) -> Value:
        """What `self.<attribute>` holds in the class at hand, when all its bindings agree."""
        if self.owner is None:
            return UNKNOWN
        if self._depth == 0:
            self._budget[0] = _BUDGET
        found = self.owner.attributes().get(attribute, [])
        if not found:
            return self._inherited(self.owner, attribute)
        module = self.scope
        while module.parent is not None:
            module = module.parent
        kept = [(b, _kept_by(b)) for b in found]
        value = joined([self._attribute_bound(b, module) for b, methods in kept if methods is None])
        through = {m for _, methods in kept if methods is not None for m in methods}
        return value if not through or _keeps(value.kind, through) else UNKNOWN

    def _inherited(self, facts: ClassFacts, attribute: str) -> Value:
        """What the first class of the project that `facts` derives from, and that binds the attribute, binds it to."""
        for base in facts.bases:
            there = self._base(base, facts) if self._depth <= 8 else None
            if there is not None:
                around = there[0].outside()
                around.owner = there[1]
                around._depth += 1
                told = around.member(attribute)
                if told.kind is not Kind.UNKNOWN:
                    return told
        return UNKNOWN

    def _attribute_bound(self, binding: Binding, module: Scope) -> Value:
        scope = module
        if binding.names is not None:
            scope = Scope("function", None, module, names=binding.names())
        around = self._in(scope, binding if scope is not module else None)
        if binding.annotation is not None:
            told = around._annotated(module, binding.annotation())
            if told.kind is not Kind.UNKNOWN:
                return told
        if binding.kind == "assign" and binding.value is not None:
            value = around.value(binding.value())
        elif binding.whole is not None:
            value = around.value(binding.whole())
            for step in binding.steps:
                value = part(value, step)
        else:
            return UNKNOWN
        changing = value.kind in (Kind.MANY, Kind.TABLE) and self.index.changes(f"self.{binding.name}")
        return UNKNOWN if changing else value

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
            there = self.elsewhere(name) if name is not None else None
            return self._method(node.func, node) if there is None else there[0]._own(there[1])
        if isinstance(node.func, cst.Name):
            return self._builtin(node.func.value, node) or self._own(node.func.value)
        return self._any_of(node.func)

    def _any_of(self, func: cst.BaseExpression) -> Value:
        """What a call of some member of a module gives: `getattr(models, name)`, `models.__dict__[name]`."""
        match func:
            case cst.Call(func=cst.Name("getattr"), args=[cst.Arg(value=owner), _]):
                pass
            case cst.Subscript(value=cst.Attribute(value=owner, attr=cst.Name("__dict__"))):
                pass
            case cst.Subscript(value=cst.Call(func=cst.Name("vars"), args=[cst.Arg(value=owner)])):
                pass
            case _:
                return UNKNOWN
        name = self.qualified(owner)
        return UNKNOWN if name is None else stated(known_results.of_call(f"{name}.*", 1))

    def _own_method(self, func: cst.Attribute, base: Value) -> Value | None:
        """What a method of a class of the project gives; None where that has none of this name."""
        match func.value:
            case cst.Name("self" | "cls") if self.owner is not None:
                there: tuple[Flow, ClassFacts] | None = (self, self.owner)
            case cst.Name() | cst.Attribute() if base.kind is Kind.UNKNOWN:
                there = self._class(self.qualified(func.value) or dotted(func.value) or "")
            case _:
                there = self._class(base.cls) if base.cls else None
        return None if there is None else there[0]._given_by_method(there[1], func.attr.value)

    def _given_by_method(self, facts: ClassFacts, method: str, depth: int = 0) -> Value | None:
        if method in facts.methods:
            node = facts.method(method)
            if node is None:
                return UNKNOWN
            from uncuda.returned import returned

            around = self.outside()
            around.owner = facts
            return returned(node, around)
        for base in facts.bases:
            there = self._base(base, facts)
            told = there[0]._given_by_method(there[1], method, depth + 1) if there and depth < 5 else None
            if told is None:
                # A class method of a library's class gives an object of this one.
                made = known_results.of_call(f"{self._full(base)}.{method}", 1)
                told = MODULE if made == known_results.MODULE and self.is_module(facts) else None
            if told is not None:
                return told
        return None

    def _method(self, func: cst.Attribute, node: cst.Call) -> Value:
        base, method = self.value(func.value), func.attr.value
        own = self._own_method(func, base)
        if own is not None:
            return own
        match base.kind:
            case Kind.TENSOR:
                return stated(known_results.of_tensor(method, len(node.args)))
            case Kind.MODULE:
                if method == "state_dict":
                    return Value(Kind.TABLE, parts=(TENSOR,))
                given = stated(known_results.of_module(method))
                return base if given.kind is Kind.MODULE else given
            case Kind.MOVABLE:
                return base if _keeps(base.kind, {method}) else UNKNOWN
            case Kind.BATCH if _of_containers(method):
                match method:
                    case "items":
                        return many([Value(Kind.PARTS, parts=(UNKNOWN, base))])
                    case "values":
                        return many([base])
                    case "pop" | "get":
                        return base if len(node.args) == 1 else UNKNOWN
                    case _:
                        return UNKNOWN
            case Kind.BATCH:
                return stated(known_results.of_tensor(method, len(node.args)))
            case Kind.TABLE:
                match method:
                    case "values":
                        return many(base.parts)
                    case "items":
                        return many([Value(Kind.PARTS, parts=(UNKNOWN, *base.parts))])
                    case "get" if len(node.args) == 1:
                        return base.parts[0]
                    case "pop" if len(node.args) == 1:
                        return base.parts[0]
                    case "copy":
                        return base
                    case _:
                        return UNKNOWN
            case Kind.MANY if method == "pop" and not self.index.changes(dotted(func.value) or ""):
                return base.parts[0]
            case _:
                return UNKNOWN

    def _builtin(self, name: str, node: cst.Call) -> Value | None:
        """What one of Python's own functions gives; None for any other name."""
        if name not in _BUILTINS or self.bindings(name) is not None:
            return None
        given = [a.value for a in node.args if a.keyword is None and not a.star]
        if not given:
            return UNKNOWN
        if name in ("str", "bool"):
            inner = self.value(given[0]) if len(node.args) == 1 else UNKNOWN
            if name == "bool":
                return inner if inner.kind in (Kind.FLAG, Kind.DENIAL) else UNKNOWN
            known = inner.kind in (Kind.DEVICE, Kind.TEXT)
            return Value(Kind.TEXT, inner.which, inner.index) if known else UNKNOWN
        each = [part(self.value(g), EACH) for g in given]
        match name:
            case "zip":
                whole = len(given) == len(node.args) or all(
                    a.keyword is not None for a in node.args[len(given) :]
                )
                return many([Value(Kind.PARTS, parts=tuple(each))]) if whole else UNKNOWN
            case "enumerate":
                return many([Value(Kind.PARTS, parts=(UNKNOWN, each[0]))])
            case "next":
                return each[0] if len(given) == 1 else joined([each[0], self.value(given[1])])
            case "filter":
                return many(each[1:2])
            case "dict":
                inner = self.value(given[0])
                return inner if inner.kind is Kind.TABLE and len(node.args) == 1 else UNKNOWN
            case "map":
                match given[0]:
                    case cst.Lambda(body=body):
                        # Its parameters are what the call gives it.
                        around = [*self.ancestors, node, node.args[0], given[0]]
                        return many(
                            [self._nested(Scope("function", given[0], self.scope), around).value(body)]
                        )
                    case _:
                        return UNKNOWN
            case _:
                return many(each[:1])

    def _own(self, name: str) -> Value:
        """What a class or a function of this file gives when it is called."""
        found = self.bindings(name)
        if found is None or len(found[0].bindings().get(name, ())) != 1:
            return UNKNOWN
        [binding] = found[1]
        if binding.kind == "import":
            there = self.elsewhere(binding.target)
            return UNKNOWN if there is None else there[0]._own(there[1])
        if binding.kind == "param" and name == "cls" and self.owner is not None:
            return self._instance(self.owner.name)
        if found[0].kind != "module":
            return self._inner(name, found[0])
        if binding.kind == "class":
            return self._instance(name)
        function = self.index.function(name) if binding.kind == "def" else None
        if function is None:
            return UNKNOWN
        from uncuda.returned import returned

        return returned(function, self.outside())

    def _inner(self, name: str, scope: Scope) -> Value:
        """What a function that is defined in another gives."""
        if not isinstance(scope.node, cst.FunctionDef):
            return UNKNOWN
        inside = walk_scope(scope.node.body)
        inner = [n for n in inside if isinstance(n, cst.FunctionDef) and n.name.value == name]
        if len(inner) != 1 or inner[0].decorators or inner[0].asynchronous is not None:
            return UNKNOWN
        from uncuda.returned import returned

        return returned(inner[0], self._in(scope))

    def elsewhere(self, name: str) -> tuple[Flow, str] | None:
        """Where another module of the project says what this full name stands for: that module as seen from its top
        level, and the name there."""
        neighbours = self.index.neighbours
        told = neighbours.find(name) if neighbours is not None and self._depth <= 8 else None
        if told is None:
            return None
        other = Flow.of_module(told.index)
        other._depth = self._depth + 1
        other._budget = self._budget
        return other, told.name

    def _imported(self, name: str) -> Value:
        """What a name holds that another module of the project says."""
        there = self.elsewhere(name)
        return UNKNOWN if there is None else there[0].value(cst.parse_expression(there[1]))

    def _known_call(self, name: str, node: cst.Call) -> Value | None:
        match name:
            case "torch.device":
                return self._device_call(node)
            case "torch.cuda.is_available":
                return CUDA_FLAG
            case "torch.accelerator.is_available":
                return ACCELERATOR_FLAG
            case "torch.cuda.device_count" | "torch.accelerator.device_count":
                return Value(Kind.COUNT, _COUNTS[name])
            case "torch.accelerator.current_accelerator":
                return Value(Kind.DEVICE, Which.SELECTED)
            case _:
                pass
        told = known_results.of_call(
            name, len(node.args), [_named(a) for a in node.args if a.keyword or a.star]
        )
        if told == known_results.SAME:
            first = node.args[0] if node.args else None
            return self.value(first.value) if first and not first.keyword and not first.star else UNKNOWN
        return None if told is None else stated(told)

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
            test = self.condition(node.test)
            if test.kind is Kind.DENIAL:
                test, body, other = negated(test), other, body
            if test.kind is Kind.FLAG and not test.partly and other.which is Which.OTHER:
                if body.which is Which.CUDA:
                    return Value(body.kind, Which.CUDA_OR_CPU, body.index)
                if body.which is Which.SELECTED:
                    return Value(body.kind, Which.SELECTED, body.index)
            return body if body == other else Value(body.kind)
        return joined([body, other])

    def _both(self, left: Value, right: Value, node: cst.BooleanOperation) -> Value:
        """Of `and`: true only where both sides are, false where one of them is. Of `or` the other way round."""
        decides, needs = (
            (Kind.FLAG, Kind.DENIAL) if isinstance(node.operator, cst.And) else (Kind.DENIAL, Kind.FLAG)
        )
        if left.kind is decides and right.kind is decides:
            return replace(left, partly=left.partly or right.partly)
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
            case [cst.ComparisonTarget(operator=(cst.In() | cst.NotIn()) as operator, comparator=right)]:
                if _is_type(node.left) and _names_host(right):
                    return _NOT_ON_HOST if isinstance(operator, cst.NotIn) else negated(_NOT_ON_HOST)
            case [
                cst.ComparisonTarget(operator=(cst.Equal() | cst.NotEqual()) as operator, comparator=right)
            ]:
                values = [self.value(side) for side in (node.left, right)]
                if any(v.is_cuda for v in values):
                    return _ON_CUDA if isinstance(operator, cst.Equal) else negated(_ON_CUDA)
                if any(v.kind is Kind.COUNT for v in values):
                    return self._counted(node.left, operator, right)
                if _is_type(node.left) and _names_host(right):
                    return _NOT_ON_HOST if isinstance(operator, cst.NotEqual) else negated(_NOT_ON_HOST)
                if any(v.kind is Kind.NONE for v in values):
                    return UNKNOWN
                return next((v for v in values if v.kind is Kind.TENSOR), UNKNOWN)
            case [
                cst.ComparisonTarget(
                    operator=(
                        cst.LessThan() | cst.LessThanEqual() | cst.GreaterThan() | cst.GreaterThanEqual()
                    ) as operator,
                    comparator=right,
                )
            ]:
                values = [self.value(side) for side in (node.left, right)]
                if any(v.kind is Kind.COUNT for v in values):
                    return self._counted(node.left, operator, right)
                return next((v for v in values if v.kind is Kind.TENSOR), UNKNOWN)
        return UNKNOWN

    def _counted(
        self, left: cst.BaseExpression, operator: cst.BaseCompOp, right: cst.BaseExpression
    ) -> Value:
        """What a comparison of the number of accelerators with a number tells of there being one."""
        kind: type[object] = type(operator)
        if self.value(left).kind is not Kind.COUNT:
            left, right, kind = right, left, _MIRRORED.get(kind, kind)
        count = self.value(left)
        if not isinstance(right, cst.Integer) or not right.value.isdigit():
            return UNKNOWN
        number = int(right.value)
        if _at_least_one(kind, number):
            return replace(count, kind=Kind.FLAG, partly=not _just_one(kind, number))
        denied = _DENIED.get(kind)
        if denied is None or not _at_least_one(denied, number):
            return UNKNOWN
        return replace(count, kind=Kind.DENIAL, partly=not _just_one(denied, number))

    def _instance(self, name: str) -> Value:
        there = self._class(name)
        if there is None:
            return UNKNOWN
        flow, facts = there
        if flow.is_module(facts):
            return Value(Kind.MODULE, cls=name)
        return Value(Kind.OBJECT, cls=name) if flow._is_plain(facts) else UNKNOWN

    def _class(self, name: str) -> tuple[Flow, ClassFacts] | None:
        """The class of the project that has this full name, and the file that it is in."""
        facts = self.index.classes.get(name)
        if facts is not None:
            return self, facts
        there = self.elsewhere(name)
        if there is None:
            return None
        flow, name = there
        found = flow.index.classes.get(name)
        if found is not None:
            return flow, found
        bound = flow.index.bindings.get(name, ())
        return flow._class(bound[0].target) if len(bound) == 1 and bound[0].kind == "import" else None

    def _base(self, base: str, facts: ClassFacts) -> tuple[Flow, ClassFacts] | None:
        """A class of the project that `facts` derives from."""
        found = self.index.classes.get(base)
        there = (self, found) if found is not None else self._class(self._full(base))
        return None if there is None or there[1] is facts else there

    def _is_plain(self, facts: ClassFacts, depth: int = 0) -> bool:
        """Is the class neither a module nor a tensor for certain: are all its bases the project's, or Python's own?"""
        if {"cuda", "to"} & facts.methods:
            return True
        for base in facts.bases:
            there = self._base(base, facts)
            if there is not None and depth < 5:
                if not there[0]._is_plain(there[1], depth + 1):
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
        """Is the class an nn.Module, as far as the project tells, that doesn't bring its own `cuda` or `to`?"""
        if {"cuda", "to"} & facts.methods or depth > 5:
            return False
        for base in facts.bases:
            if known_results.is_module_base(self._full(base)):
                return True
            there = self._base(base, facts)
            if there is not None and there[0].is_module(there[1], depth + 1):
                return True
        return False

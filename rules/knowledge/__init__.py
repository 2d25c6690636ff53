"""The tables of facts that rules, fixes and `explain` read. See docs/knowledge.md for their shape."""

from __future__ import annotations

from uncuda.rules.knowledge.apis import (
    Api,
    aliases,
    apis,
    canonical,
    frameworks,
    lookup,
    member,
    nearest,
    outcomes,
    parameters,
    tensor_dtype,
)
from uncuda.rules.knowledge.around import (
    Fact,
    around,
    around_facts,
    is_conda_library,
    is_cuda_image,
    is_library,
    other_project,
    required,
)
from uncuda.rules.knowledge.floors import floor, floors
from uncuda.rules.knowledge.packages import (
    Package,
    Support,
    distribution,
    kernel_makers,
    own_device_names,
    package,
    package_aliases,
    package_imports,
    packages,
)
from uncuda.rules.knowledge.spelled import Spelled, spelled, test_decorators
from uncuda.rules.knowledge.targets import Autoload, TargetFacts, target

__all__ = [
    "Api",
    "Autoload",
    "Fact",
    "Package",
    "Spelled",
    "Support",
    "TargetFacts",
    "aliases",
    "apis",
    "around",
    "around_facts",
    "canonical",
    "distribution",
    "floor",
    "floors",
    "frameworks",
    "is_conda_library",
    "is_cuda_image",
    "is_library",
    "kernel_makers",
    "lookup",
    "member",
    "nearest",
    "other_project",
    "outcomes",
    "own_device_names",
    "package",
    "package_aliases",
    "package_imports",
    "packages",
    "parameters",
    "required",
    "spelled",
    "target",
    "tensor_dtype",
    "test_decorators",
]

"""What sets each target apart from CUDA: device name, import, communication, variables, tools, gaps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from uncuda.findings import Target, TorchVersion
from uncuda.rules.knowledge._data import optional_text, table

FILE = "targets.json"


@dataclass(frozen=True)
class Autoload:
    """Since when `import torch` alone brings the device: release `since` of `package` (None: not known
    which), with torch `torch`."""

    package: str
    since: str | None
    torch: TorchVersion


@dataclass(frozen=True)
class TargetFacts:
    """One target.

    `device` is what torch calls it, `module` where its functions lie. `import_module` has to be imported,
    unless `autoload` applies (None: always). `backend` is the name for torch.distributed. The variables of
    the environment are lists, the usual one first; `docker_devices` are device files or options of `docker
    run`. `autocast` are the dtypes that autocast takes, `compile_backend` what torch.compile takes. `patch`
    is the vendor's module that redirects torch.cuda at run time. `unchecked` names what hasn't been read in
    a source.
    """

    target: Target
    title: str
    device: str
    module: str
    import_module: str | None
    autoload: Autoload | None
    backend: str
    visible_devices: tuple[str, ...]
    container_devices: tuple[str, ...]
    allocator: tuple[str, ...]
    launch_blocking: tuple[str, ...]
    smi: tuple[str, ...]
    docker_devices: tuple[str, ...]
    k8s: tuple[str, ...]
    base_image: str | None
    pip: str
    autocast: tuple[str, ...]
    autocast_default: str
    compile_backend: str
    patch: str | None
    gaps: tuple[str, ...]
    unchecked: tuple[str, ...]
    source: str
    checked: str


@cache
def target(which: Target) -> TargetFacts:
    """The facts about `which`."""
    content = table(FILE)
    row = content["targets"][which.value]
    imports = row.get("imports") or {}
    auto = imports.get("autoload")
    return TargetFacts(
        target=which,
        title=row["title"],
        device=row["device"],
        module=row["module"],
        import_module=optional_text(imports.get("module")),
        autoload=None
        if auto is None
        else Autoload(
            auto["package"], optional_text(auto.get("since")), (auto["torch"][0], auto["torch"][1])
        ),
        backend=row["backend"],
        visible_devices=tuple(row.get("visible_devices", ())),
        container_devices=tuple(row.get("container_devices", ())),
        allocator=tuple(row.get("allocator", ())),
        launch_blocking=tuple(row.get("launch_blocking", ())),
        smi=tuple(row.get("smi", ())),
        docker_devices=tuple(row.get("docker_devices", ())),
        k8s=tuple(row.get("k8s", ())),
        base_image=optional_text(row.get("base_image")),
        pip=row["pip"],
        autocast=tuple(row["autocast"]),
        autocast_default=row["autocast_default"],
        compile_backend=row["compile"],
        patch=optional_text(row.get("patch")),
        gaps=tuple(row.get("gaps", ())),
        unchecked=tuple(row.get("unchecked", ())),
        source=row["source"],
        checked=content["checked"],
    )

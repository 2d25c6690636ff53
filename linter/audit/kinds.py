"""The kinds of ties that a report counts: what maintainers list by hand when somebody asks for a port."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A row of the report. `codes` are rule codes, or prefixes of them; the longest that fits a code counts."""

    key: str
    title: str
    codes: tuple[str, ...]


KINDS = (
    Kind("moves", "Device moves", ("UC101", "UC102", "UC108", "UC109")),
    Kind("device-text", "Device text and objects", ("UC1",)),
    Kind("device-tests", "Tests of a device", ("UC110", "UC111")),
    Kind("selection", "Device selection and availability", ("UC201", "UC202")),
    Kind("counts", "Device counts and indices", ("UC203", "UC204", "UC205", "UC207", "UC404")),
    Kind("memory", "Cache, memory and pinning", ("UC210", "UC211", "UC212", "UC219")),
    Kind("runtime", "Streams, events, waiting, graphs, profiling", ("UC2",)),
    Kind("numerics", "Mixed precision and numeric switches", ("UC3",)),
    Kind("seeds", "Seeds and generators", ("UC301", "UC302")),
    Kind("process-groups", "Process groups and parallel wrappers", ("UC4", "UC832")),
    Kind("packages", "Packages built for CUDA", ("UC501", "UC504", "UC80")),
    Kind("kernels", "Kernels, extensions, native sources", ("UC5", "UC84")),
    Kind("attention", "Attention back ends", ("UC601", "UC605", "UC834")),
    Kind("frameworks", "Arguments of frameworks", ("UC6",)),
    Kind("process", "Environment variables, tools, test gates", ("UC7",)),
    Kind("deployment", "Images, scripts, clusters, settings", ("UC8",)),
    Kind("other", "Everything else", ("UC",)),
)

_BY_CODE = {code: kind for kind in KINDS for code in kind.codes}


def kind_of(code: str) -> Kind:
    """The kind that a rule's findings are counted under."""
    for length in range(len(code), 1, -1):
        found = _BY_CODE.get(code[:length])
        if found is not None:
            return found
    return KINDS[-1]

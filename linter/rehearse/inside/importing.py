"""Sees the program import torch, and sets up what is wanted of it right then, before the program goes on."""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from types import ModuleType
from typing import Any, Callable, Optional, Sequence

from .journal import Journal


class _AfterTorch(importlib.abc.Loader):
    """Loads torch as its own loader does, and then sets it up."""

    def __init__(self, loader: Any, spec: importlib.machinery.ModuleSpec, journal: Journal) -> None:
        self._loader = loader
        self._spec = spec
        self._journal = journal

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> Optional[ModuleType]:
        made: Optional[ModuleType] = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        # From here on nothing shows that this class was there.
        self._spec.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        from . import setting_up

        setting_up.set_up(self._journal)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds torch for the first import, and stand-ins for packages that bring a device."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._busy = False
        self._package = journal.settings.get("package")

    def find_spec(
        self, fullname: str, path: Optional[Sequence[str]], target: Optional[ModuleType] = None
    ) -> Optional[importlib.machinery.ModuleSpec]:
        if fullname == "torch" and not self._busy and "torch" not in sys.modules:
            self._busy = True
            try:
                spec = importlib.util.find_spec("torch")
            finally:
                self._busy = False
            if spec is not None and spec.loader is not None:
                spec.loader = _AfterTorch(spec.loader, spec, self._journal)
            return spec
        if fullname == self._package and self._is_simulated():
            return importlib.util.spec_from_loader(fullname, _StandIn(self._journal), origin="rehearsal")
        return None

    def _is_simulated(self) -> bool:
        """Is there a simulated device? Then the vendor's package isn't asked, even where it is installed."""
        import torch

        return hasattr(torch, self._journal.settings["device"])


class _StandIn(importlib.abc.Loader):
    """The vendor's package, empty: importing it registers the device, and the rehearsal has done so already."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> Optional[ModuleType]:
        return None

    def exec_module(self, module: ModuleType) -> None:
        import torch

        device = self._journal.settings["device"]
        module.__version__ = torch.__version__  # type: ignore[attr-defined]
        module.__getattr__ = functools.partial(_vendor_function, module.__name__, device)  # type: ignore[method-assign]
        setattr(module, device, getattr(torch, device))
        self._journal.note("stand-in", module.__name__, self._journal.place())


def _vendor_function(package: str, device: str, name: str) -> Callable[..., Any]:
    """A function of the vendor's (`torch_npu.npu_rms_norm`): it can be imported, as libraries do, and not called."""
    if not name.startswith(device + "_"):
        raise AttributeError(
            "module %r has no attribute %r; it is a stand-in of a rehearsal" % (package, name)
        )

    def missing(*_: Any, **__: Any) -> None:
        raise NotImplementedError("%s.%s is the vendor's own: a rehearsal hasn't got it" % (package, name))

    return missing


def watch(journal: Journal) -> None:
    """Looks out for the first import of torch."""
    sys.meta_path.insert(0, _Finder(journal))

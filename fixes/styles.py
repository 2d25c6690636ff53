"""The spellings of a portable device, and which torch has what they use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Spelling:
    """How one device is written. `torch` is the local name of the torch module; `own` is what the project itself has for
    it: `get_device()`."""

    torch: str = "torch"
    own: str = ""

    @property
    def available(self) -> str:
        """A bool: is an accelerator there?"""
        return f"{self.torch}.accelerator.is_available()"

    @property
    def device(self) -> str:
        """A torch.device: the current accelerator, without index, or the CPU.

        `current_accelerator()` alone names the build's accelerator even where none is present, and raises
        on a CPU-only torch 2.6.0; hence the test.
        """
        if self.own:
            return self.own
        return f'{self.torch}.accelerator.current_accelerator() if {self.available} else {self.torch}.device("cpu")'

    @property
    def accelerator(self) -> str:
        """A torch.device where an accelerator is known to be available."""
        return f"{self.torch}.accelerator.current_accelerator()"

    @property
    def type(self) -> str:
        """The device as str: "cuda", "npu", … or "cpu"."""
        return f'{self.torch}.accelerator.current_accelerator().type if {self.available} else "cpu"'

    @property
    def module(self) -> str:
        """The module with the functions of the device that is there: torch.cuda, torch.npu, … or torch.cpu."""
        return f"{self.torch}.get_device_module()"

    def bound(self, index: str, available: bool) -> str:
        """A torch.device to bind, with this index if there is one, or the plain CPU (torch.load refuses an indexed
        one); `available`: an accelerator is there for certain."""
        if self.own and not index:
            return self.own
        device = f"{self.torch}.device({self.accelerator}.type, {index})" if index else self.accelerator
        return device if available else self.guarded(device, f'{self.torch}.device("cpu")')

    def guarded(self, call: str, otherwise: str) -> str:
        """`call` where there is an accelerator, else `otherwise`: for calls that CUDA answers on a CPU too."""
        return f"{call} if {self.available} else {otherwise}"


DEVICE_NAMES = ("device", "accelerator", "accelerator_device", "torch_device")
"""Names for a new binding, best first."""

MODULE_NAMES = ("device_module", "accelerator_module")
"""Names for the module of a device, best first."""

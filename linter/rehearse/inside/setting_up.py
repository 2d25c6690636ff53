"""Sets up a torch that has just been imported: the simulated device where this torch can have one, then the watch."""

from __future__ import annotations

from .journal import Journal

SIMULATED, WATCHED = "simulated", "watched"


def set_up(journal: Journal) -> None:
    """Notes what was set up; a failure is noted too, and leaves a torch that is only watched."""
    import torch

    from . import cuda_watch

    settings = journal.settings
    way = WATCHED
    why = ""
    if settings["device"] == "cpu":
        why = "the target is the CPU"
    elif settings["way"] == WATCHED:
        why = "it was asked for"
    elif not can_simulate():
        why = "torch %s can't be given a device in Python; 2.10 and newer can" % torch.__version__
    else:
        try:
            from . import device

            device.install(settings["device"], settings["devices"], journal)
            way = SIMULATED
        except Exception as error:
            journal.write("broken", **journal.described(error, error.__traceback__))
    if way == SIMULATED:
        from . import groups

        groups.install(settings["device"], settings["backend"], journal)
    cuda_watch.install(journal, settings["device"] if way == SIMULATED else None)
    journal.write("torch", version=torch.__version__, way=way, why=why, cuda=torch.version.cuda)


def can_simulate() -> bool:
    """Has this torch what a device in Python needs?"""
    import torch

    try:
        from torch.utils.backend_registration import _setup_privateuseone_for_python_backend  # noqa: F401
    except ImportError:
        return False
    return hasattr(torch._C, "_acc")

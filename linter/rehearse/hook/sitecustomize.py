"""Run by the Python of a rehearsed program, and of every Python that it starts, before the program itself.

It loads `rehearse/inside` by its path, since uncuda needn't be installed there, and then whatever sitecustomize
that Python has of its own.
"""

import os
import sys


def _start() -> None:
    import importlib.util

    here = os.path.dirname(os.path.abspath(__file__))
    # The program sees the path that it would have without this.
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != here]
    folder = os.path.join(os.path.dirname(here), "inside")
    spec = importlib.util.spec_from_file_location(
        "_uncuda_rehearsal", os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        module.start()


def _own_sitecustomize() -> None:
    """The one that this file stands before, if there is one."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    spec = PathFinder.find_spec("sitecustomize")
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


if "UNCUDA_REHEARSAL" in os.environ:
    _start()
    _own_sitecustomize()

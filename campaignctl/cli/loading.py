"""Imports of a whole installation's code, without looking for reference cycles meanwhile.

The stores, the services and the API are a hundred thousand objects, and all of them stay. The interpreter goes through
what there is again and again while it grows, a sixth of what starting a command takes of the CPU, and finds nothing.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_LARGEST = "campaignctl.bootstrap"


@contextmanager
def loading() -> Iterator[None]:
    """For the length of a ``with`` that imports much: no collection, and none of what is there by its end later on."""
    if _LARGEST in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()

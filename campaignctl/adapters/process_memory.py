"""When memory that is freed goes back to the machine. glibc's allocator only; elsewhere nothing happens."""

import ctypes
from collections.abc import Callable

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE_BYTES = 512 * 1024
_KEPT_BYTES = 1024 * 1024
_LARGEST_IN_HEAP_BYTES = 32 * 1024 * 1024
"""The library takes no higher threshold."""
_KEPT_FOR_NEXT_BYTES = 64 * 1024 * 1024


def return_large_pieces() -> None:
    """Have the C library give large pieces back as soon as they are freed.

    By itself glibc learns from every large piece that is freed to keep the next one, up to 32 MiB: with blocks of rows
    and runs of ids coming and going, a worker holds 20 to 60 MiB that nobody uses.
    """
    mallopt = _function("mallopt")
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def keep_large_pieces() -> None:
    """Have the C library keep what is freed for what comes next: pieces of any usual size, 64 MiB at each heap's end.

    Memory that comes anew from the machine costs a page fault and is cleared first. Where batch follows batch that is
    a tenth of a worker's CPU; to keep it takes 120 to 220 MiB more. One heap for all threads would take no more than
    before, but they would wait for each other, and all that is saved would be lost.
    """
    mallopt = _function("mallopt")
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_IN_HEAP_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_FOR_NEXT_BYTES)


def return_freed_pages() -> None:
    """Give back every page on which nothing is in use, wherever it lies: by itself only the end of the heap goes.

    Takes 1 to 12 ms, in which other threads may be running. The runs of a window of 5 million ids leave 20 MiB of such
    pages behind, for they grow by turns.
    """
    malloc_trim = _function("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _function(name: str) -> Callable[..., int] | None:
    try:
        return getattr(ctypes.CDLL(None), name)  # type: ignore[no-any-return]
    except (AttributeError, OSError, TypeError):  # not glibc
        return None

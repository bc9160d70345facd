"""Memory that is not needed any more goes back to the machine."""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE_BYTES = 512 * 1024
_KEPT_BYTES = 1024 * 1024


def return_large_pieces() -> None:
    """Have the C library give large pieces back as soon as they are freed.

    By itself glibc learns from every large piece that is freed to keep the next one, up to 32 MiB: with blocks of rows
    and runs of ids coming and going, a worker holds 20 to 60 MiB that nobody uses. Elsewhere this does nothing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)

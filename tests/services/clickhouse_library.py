"""A ClickHouse server out of its shared library: ``clickhouse_library.py LIBRARY DIRECTORY HTTP_PORT NATIVE_PORT``.

The library runs ClickHouse's own command line; statements open the server's real listeners, and a last one that sleeps
keeps it alive. One user (``default``, without a password), and no port for other replicas: tables of a cluster can be
made, and stay read-only.
"""

import ctypes
import mmap
import os
import sys
from pathlib import Path

_STATEMENTS = (
    "SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; SELECT sum(sleepEachRow(3)) FROM numbers(100000000)"
    " SETTINGS max_threads = 1, max_block_size = 1, function_sleep_max_microseconds_per_block = 0, max_execution_time = 0"
)
_HANDLER = b"\x0019KillingErrorHandler\x00"
_EXCEPTIONS = range(2, 5)
"""Its virtual functions behind two destructors: exceptions of its library, of the standard's, and of no known kind."""


def serve(library_path: str, directory: str, http_port: str, native_port: str) -> str:
    """Serve until a signal ends the process; answers why it could not."""
    library = ctypes.CDLL(library_path)
    _outlive_connections(Path(library_path).resolve())
    library.chdb_query_cmdline.restype = ctypes.c_void_p
    library.chdb_query_cmdline.argtypes = [ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)]
    library.chdb_result_error.restype = ctypes.c_char_p
    library.chdb_result_error.argtypes = [ctypes.c_void_p]
    config = os.environ.get("CLICKHOUSE_CONFIG")
    arguments = ["clickhouse", *([f"--config-file={config}"] if config else []), f"--path={directory}"]
    arguments += [f"--http_port={http_port}", f"--tcp_port={native_port}", "--listen_host=127.0.0.1"]
    arguments += ["--multiquery", f"--query={_STATEMENTS}"]
    words = (ctypes.c_char_p * len(arguments))(*[word.encode() for word in arguments])
    error = library.chdb_result_error(library.chdb_query_cmdline(len(arguments), words))
    return (error or b"it ended").decode(errors="replace")


def _outlive_connections(library_path: Path) -> None:
    """Have what fails on a connection's thread end that connection alone, as it does in a server.

    ClickHouse's command line ends its process at the first exception that leaves such a thread, and a client killed
    with an answer unread is enough, since its kernel resets the connection: SIGABRT came within 36 of those. The
    handler's virtual functions are found through the name of its class, and replaced by one that does nothing.
    """
    with library_path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        offset = content.find(_HANDLER) + 1
    assert offset, f"{library_path} handles exceptions in another way: see how, and whether this is needed"
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    mapped = [line.split(maxsplit=5) for line in maps if line.endswith(str(library_path))]
    base = int(mapped[0][0].partition("-")[0], 16)
    begin, end = (int(bound, 16) for bound in next(one[0] for one in mapped[2:] if one[1] == "r--p").split("-"))
    constants = (ctypes.c_char * (end - begin)).from_address(begin)

    def holder(address: int) -> int:
        return begin + constants.raw.index(address.to_bytes(8, sys.byteorder))

    class_of_handler = holder(base + offset) - 8  # its second word is the name, its first that of another class
    functions = holder(class_of_handler) + 8
    libc = ctypes.CDLL(None, use_errno=True)
    page = functions & -mmap.PAGESIZE
    libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(2 * mmap.PAGESIZE), mmap.PROT_READ | mmap.PROT_WRITE)
    nothing = ctypes.cast(libc.getpid, ctypes.c_void_p).value
    for n in _EXCEPTIONS:
        ctypes.c_void_p.from_address(functions + 8 * n).value = nothing
    libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(2 * mmap.PAGESIZE), mmap.PROT_READ)


if __name__ == "__main__":
    sys.exit(serve(*sys.argv[1:]))

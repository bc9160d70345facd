"""A ClickHouse server out of its shared library: ``clickhouse_library.py LIBRARY DIRECTORY HTTP_PORT NATIVE_PORT``.

The library runs ClickHouse's own command line; statements open the server's real listeners, and a last one that sleeps
keeps it alive. One user (``default``, without a password), and no port for other replicas: tables of a cluster can be
made, and stay read-only.
"""

import ctypes
import os
import sys

_STATEMENTS = (
    "SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; SELECT sum(sleepEachRow(3)) FROM numbers(100000000)"
    " SETTINGS max_threads = 1, max_block_size = 1, function_sleep_max_microseconds_per_block = 0, max_execution_time = 0"
)


def serve(library_path: str, directory: str, http_port: str, native_port: str) -> str:
    """Serve until a signal ends the process; answers why it could not."""
    library = ctypes.CDLL(library_path)
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


if __name__ == "__main__":
    sys.exit(serve(*sys.argv[1:]))

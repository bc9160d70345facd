"""A TCP proxy on loopback that ends connections in the middle of what the server answers, holds requests back, or has
answers come late.
"""

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_PIECE = 65_536


class FaultProxy:
    """Passes everything on, until it is told to ``cut``, to ``hold`` or to ``hesitate``."""

    def __init__(self, host: str, port: int, seed: int = 0) -> None:
        self._server = (host, port)
        self._random = random.Random(seed)
        self._limit: Callable[[], int] | None = None
        self._held: tuple[bytes, float] | None = None
        self._delay_s = 0.0
        self._era = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, longest: int) -> None:
        """From now on each connection is ended after a random number of bytes of answers, ``longest`` at most."""
        self._begin(lambda: self._random.randrange(longest))

    def cut_after(self, count: int) -> None:
        """From now on each connection is ended after so many bytes of answers."""
        self._begin(lambda: count)

    def hold(self, words: bytes, seconds: float) -> None:
        """From now on a request with a piece that has the words in it reaches the server so much later."""
        self._held = words, seconds

    def hesitate(self, seconds: float) -> None:
        """From now on the first byte of each answer comes so much later; 0: no more."""
        self._delay_s = seconds

    def mend(self) -> None:
        self._held = None
        self._begin(None)

    def _begin(self, limit: Callable[[], int] | None) -> None:
        with self._lock:
            self._limit, self._era = limit, self._era + 1

    def _left(self) -> tuple[int, int | None]:
        with self._lock:
            return self._era, None if self._limit is None else self._limit()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            try:
                server = socket.create_connection(self._server)
            except OSError:
                client.close()
                continue
            asked = threading.Event()
            for source, target, answers in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pass, args=(source, target, answers, asked), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, answers: bool, asked: threading.Event) -> None:
        """``asked``: something was asked of which no answer has come yet."""
        era, left = self._left()
        with suppress(OSError):
            while piece := source.recv(_PIECE):
                if not answers:
                    asked.set()
                elif asked.is_set():
                    asked.clear()
                    time.sleep(self._delay_s)
                if era != self._era:
                    era, left = self._left()
                if answers and left is not None:
                    if len(piece) > left:
                        target.sendall(piece[:left])
                        self.cuts += 1
                        break
                    left -= len(piece)
                if not answers and (held := self._held) is not None and held[0] in piece:
                    time.sleep(held[1])
                target.sendall(piece)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            with suppress(OSError):
                one.close()


@contextmanager
def fault_proxy(host: str, port: int, seed: int = 0) -> Iterator[FaultProxy]:
    proxy = FaultProxy(host, port, seed)
    try:
        yield proxy
    finally:
        proxy.close()

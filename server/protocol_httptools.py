"""The guard on uvicorn's httptools parser, which by itself takes heads of any size."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.connection_guard import MAX_HEAD_BYTES, MAX_HEAD_LINES, Guard


class _HeadTooLargeError(Exception):
    """Raised in the parser's callback: the parser then reports the request as not valid."""


class GuardedHttpTools(Guard, HttpToolsProtocol):  # type: ignore[misc]
    """Counts what belongs to a head; trailers of a chunked body count too."""

    _in_head = False
    _unfinished_bytes = 0
    _head_bytes = 0
    _head_lines = 0

    def data_received(self, data: bytes) -> None:
        was_in_head = self._in_head
        super().data_received(data)
        if was_in_head and self._in_head:
            self._unfinished_bytes += len(data)
            if self._unfinished_bytes > MAX_HEAD_BYTES:
                self.send_400_response("")

    def on_message_begin(self) -> None:
        self._in_head = True
        self._unfinished_bytes = self._head_bytes = self._head_lines = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_lines += 1
        self._head_bytes += len(name) + len(value)
        if self._head_lines > MAX_HEAD_LINES or self._head_bytes > MAX_HEAD_BYTES:
            raise _HeadTooLargeError
        super().on_header(name, value)

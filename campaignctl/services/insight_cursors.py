"""Cursors of pages of insights: the place of a page's last row, signed together with the question it belongs to.

Lists have shorter ones (``services/cursors``): a row's place holds up to five ids of 128 characters.
"""

import base64
import binascii
import hmac
import json
import zlib

from campaignctl.domain.insight_rows import Place
from campaignctl.errors import InvalidInput

_SIGNATURE_BYTES = 16
_MAX_CHARACTERS = 8_000
_PURPOSE = b"insights cursor:"


class InsightCursors:
    """``key`` is any secret that outlives a restart."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encode(self, place: Place, question: str) -> str:
        payload = zlib.compress(json.dumps(place, ensure_ascii=False).encode(), 9)
        return base64.urlsafe_b64encode(self._signature(payload, question) + payload).rstrip(b"=").decode()

    def decode(self, cursor: str, question: str) -> Place:
        """The place; ``InvalidInput`` for a cursor that was made up, changed or given for another question."""
        raw = _from_base64(cursor)
        signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not payload or not hmac.compare_digest(signature, self._signature(payload, question)):
            raise InvalidInput.of("cursor", "is not a next_cursor of this very question; ask again without it")
        place: Place = json.loads(zlib.decompress(payload))
        return place

    def _signature(self, payload: bytes, question: str) -> bytes:
        asked = question.encode()
        # The length keeps the two apart: no question can be read as the beginning of a place.
        message = b"%b%d:%b%b" % (_PURPOSE, len(asked), asked, payload)
        return hmac.digest(self._key, message, "sha256")[:_SIGNATURE_BYTES]


def _from_base64(cursor: str) -> bytes:
    if len(cursor) > _MAX_CHARACTERS or not cursor.isascii():
        return b""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except binascii.Error:
        return b""
    return raw if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == cursor else b""

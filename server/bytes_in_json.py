"""Original bytes in JSON: as text where they are UTF-8, else in base 64."""

import base64


def as_text(value: bytes) -> tuple[str | None, str | None]:
    """(``value``, ``value_base64``): one of them is None."""
    try:
        return value.decode(), None
    except UnicodeDecodeError:
        return None, base64.b64encode(value).decode()

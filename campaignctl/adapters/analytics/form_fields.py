"""Parameters as form fields of a request.

A server takes 128 KiB a field, before any setting of ours can reach it. So a long array is sent in pieces, and the
statement puts them together: ``{ids:Array(String)}`` becomes ``arrayConcat({ids__0:Array(String)}, ...)``. Values are
never part of the text.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

_ARRAY = re.compile(r"\{(\w+):(Array\([^{}]*\))\}")
FIELD_BYTES = 120_000


def split_arrays(statement: str, parameters: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """The statement and its parameters, with every list in pieces that fit a field."""
    fields: dict[str, object] = {}
    pieces_of: dict[str, list[str]] = {}
    for name, value in parameters.items():
        pieces = list(_pieces(value)) if isinstance(value, list) else []
        if len(pieces) < 2:
            fields[name] = value
            continue
        pieces_of[name] = [f"{name}__{number}" for number in range(len(pieces))]
        fields.update(zip(pieces_of[name], pieces, strict=True))
    if not pieces_of:
        return statement, fields

    def put_together(placeholder: re.Match[str]) -> str:
        names = pieces_of.get(placeholder[1])
        if names is None:
            return placeholder[0]
        return f"arrayConcat({', '.join(f'{{{name}:{placeholder[2]}}}' for name in names)})"

    return _ARRAY.sub(put_together, statement), fields


def _pieces(values: Sequence[object]) -> Iterator[list[object]]:
    piece: list[object] = []
    piece_bytes = 0
    for value in values:
        # Quotes, a comma and a blank; at worst every byte of a text is escaped by another one.
        size = 2 * len(value.encode()) + 4 if isinstance(value, str) else len(str(value)) + 4
        if piece and piece_bytes + size > FIELD_BYTES:
            yield piece
            piece, piece_bytes = [], 0
        piece.append(value)
        piece_bytes += size
    yield piece

"""Members that several shapes have."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, WithJsonSchema

Amount = Annotated[float, WithJsonSchema({"type": "number", "description": "Exact, with at most 6 decimal places."})]
AmountIn = Annotated[
    float | str,
    WithJsonSchema({"type": ["number", "string"], "description": "A decimal, as a number or in a string."}),
]
RatioOrNull = Annotated[
    float | None, WithJsonSchema({"type": ["number", "null"], "description": "A fraction; null where undefined."})
]
AmountOrNull = Annotated[
    float | None, WithJsonSchema({"type": ["number", "null"], "description": "Null where it cannot be told."})
]
CountOrNull = Annotated[int | None, WithJsonSchema({"type": ["integer", "null"]})]
Url = Annotated[str, WithJsonSchema({"type": "string", "format": "uri"})]


class In(BaseModel):
    """A body: members that nobody knows are refused."""

    model_config = ConfigDict(extra="forbid")

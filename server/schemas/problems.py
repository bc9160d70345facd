"""What is answered when a request fails."""

from pydantic import BaseModel, Field

from server.schemas.fields import Url


class FieldProblem(BaseModel):
    field: str = Field(description="The member or parameter; a dot separates levels.")
    message: str


class Problem(BaseModel):
    """RFC 9457."""

    type: Url = Field(description="Names the kind of problem; `code` is its last part.")
    title: str
    status: int = Field(ge=400, le=599)
    detail: str = Field(description="What is wrong with this request.")
    code: str = Field(description="Stable and searchable.")
    request_id: str = Field(description="Finds the request in the server's log.")
    errors: list[FieldProblem] = Field(default=[], description="What is wrong, member by member; left out when empty.")
    hint: str = Field(default="", description="What to do next; left out when empty.")

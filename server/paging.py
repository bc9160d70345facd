"""Lists come in pages: what is asked for with, and how one is answered."""

from collections.abc import Callable
from typing import TypeVar

from starlette.responses import Response

from campaignctl.services.cursors import DEFAULT_LIMIT, MAX_LIMIT, Page
from server.dependencies import Call
from server.operations import Param

_Item = TypeVar("_Item")

LIMIT = Param(
    "limit", "Items of a page.", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
)
CURSOR = Param("cursor", "The `next_cursor` of the page before.", {"type": "string"})
LINK_HEADER = {"Link": "The next page, as rel=next; left out on the last."}


def limit_of(call: Call) -> int:
    """``limit`` of the query; raises ``InvalidInput`` outside its bounds."""
    return call.number("limit", DEFAULT_LIMIT, least=1, most=MAX_LIMIT)


def answer_page(call: Call, page: Page[_Item], shown: Callable[[_Item], object]) -> Response:
    """The page, each item as ``shown``, with the ``Link`` to the next one."""
    body = {"items": [shown(item) for item in page.items], "next_cursor": page.next_cursor}
    return call.answer(body, headers=call.next_link(page.next_cursor))

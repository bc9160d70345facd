"""Operations that are answered from memory most of the time, served without the framework's routing.

For an answer that is there already, finding the route and going through the framework's layers around it (stacks for
dependencies and files, which no route here has) costs as much as everything else together. So the operations that say
so are looked for first, by the patterns of their own routes, and run the very function that their route would run: the
same checks in the same order, and the same answers to what is raised. The routes stay, for the document and for every
other method.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from server.problem import answer_error

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

_DIRECT = "campaignctl_direct"


def direct(endpoint: Endpoint) -> Endpoint:
    """Mark the endpoint of a route of GET as one to be served directly."""
    setattr(endpoint, _DIRECT, True)
    return endpoint


class Direct:
    """Innermost: what it does not know goes on to the framework."""

    def __init__(self, app: ASGIApp, *, routes: Iterable[BaseRoute], handled: tuple[type[Exception], ...]) -> None:
        """``routes`` are read when the first request comes; ``handled`` is what ``answer_error`` answers."""
        self._app = app
        self._all = routes
        self._handled = handled
        self._routes: list[APIRoute] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET":
            if self._routes is None:
                self._routes = [
                    route for route in self._all if isinstance(route, APIRoute) and hasattr(route.endpoint, _DIRECT)
                ]
            for route in self._routes:
                if found := route.path_regex.match(scope["path"]):
                    scope["path_params"] = found.groupdict()
                    await self._answer(route.endpoint, scope, receive, send)
                    return
        await self._app(scope, receive, send)

    async def _answer(self, endpoint: Endpoint, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        try:
            response = await endpoint(request)
        except self._handled as error:
            response = await answer_error(request, error)
        await response(scope, receive, send)

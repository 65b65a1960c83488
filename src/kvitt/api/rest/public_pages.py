"""Answers what anybody may read, around the gate: the API's description and its page, made once; all else goes on to the gate."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from kvitt.api.rest.gate import App

_READING = ("GET", "HEAD")


class PublicPage(Struct, frozen=True):
    """A document as it is answered."""

    headers: Mapping[str, str]
    body: bytes


class PublicPages:
    """An ASGI app around another one: documents by their paths, without a token. They say nothing of anybody, and cost no work."""

    def __init__(self, app: App, pages: Mapping[str, PublicPage]) -> None:
        self._app, self._pages = app, pages

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        page = self._pages.get(scope["path"].rstrip("/")) if scope["type"] == "http" and scope["method"] in _READING else None
        if page is None:
            await self._app(scope, receive, send)
            return
        shown = {**page.headers, "content-length": str(len(page.body))}
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in shown.items()]
        await send({"type": "http.response.start", "status": 200, "headers": encoded})
        await send({"type": "http.response.body", "body": page.body if scope["method"] == "GET" else b""})

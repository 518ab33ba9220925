"""Reading a request's body: size, media type, JSON and depth are checked before anything looks at a field.

The limit holds while the body arrives, so nobody can make the process hold more than the limit.
"""

import re
from typing import Any

import orjson
from starlette.requests import Request

from api.problems import Problem

_JSON = re.compile(r"application/(?:[\w.+-]+\+)?json(?:\s*;.*)?", re.IGNORECASE)


class BoundedRequest(Request):
    """A request whose body is read under `body_limit` bytes and `depth_limit` levels."""

    body_limit = 0
    depth_limit = 0

    async def body(self) -> bytes:
        """The raw bytes. Raises Problem BodyTooLarge as soon as that is known."""
        if not hasattr(self, "_body"):
            self._body = await self._read()
        return self._body

    async def json(self) -> Any:
        """The parsed body. Raises Problem MalformedBody or BodyTooDeep."""
        raw = await self.body()
        try:
            parsed = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            if "depth limit" in error.msg:
                raise self._too_deep() from None
            raise Problem("MalformedBody", "The body is not valid JSON in UTF-8.") from None
        # Fewer brackets than the limit cannot nest deeper; only others are walked.
        if raw.count(b"{") + raw.count(b"[") > self.depth_limit and _depth(parsed, self.depth_limit) > self.depth_limit:
            raise self._too_deep()
        return parsed

    async def _read(self) -> bytes:
        declared = self.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self.body_limit:
            raise self._too_large()
        chunks, size = [], 0
        async for chunk in self.stream():
            size += len(chunk)
            if size > self.body_limit:
                raise self._too_large()
            chunks.append(chunk)
        if size and not _JSON.fullmatch(self.headers.get("content-type", "")):
            raise Problem("UnsupportedMediaType", "Send the body as application/json.")
        return b"".join(chunks)

    def _too_deep(self) -> Problem:
        return Problem("BodyTooDeep", f"The body may be nested at most {self.depth_limit} levels deep.")

    def _too_large(self) -> Problem:
        return Problem("BodyTooLarge", f"A body may have at most {self.body_limit} bytes.")


def _depth(value: Any, limit: int) -> int:
    """Levels of nesting, counted no further than just above the limit."""
    level, current = 0, [value]
    while current and level <= limit:
        containers = [item for item in current if isinstance(item, dict | list)]
        if not containers:
            return level
        level += 1
        current = [inner for item in containers for inner in (item.values() if isinstance(item, dict) else item)]
    return level

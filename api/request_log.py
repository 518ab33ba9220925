"""One log line per request, written past the general logger, which costs as much as the rest of the door together.

It may skip that logger's fences because nothing here needs them: the keys are fixed and in its allow-list (a test compares),
the values are numbers, ids and names from our own tables. Only the user's id is somebody else's text; it is redacted once
and remembered. Where the log is for people, or somebody replaced the process's one handler, the general logger writes.
"""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

import orjson
import structlog

from runtime.logging import get_logger, redact
from runtime.settings import LogSettings

KEYS = ("method", "route", "http_status", "duration_ms", "trace_id", "tenant_id", "principal")
_NAME = "api.requests"

general = get_logger(_NAME)
_redacted = lru_cache(maxsize=4096)(redact)


class RequestLog:
    """Writes the lines of one process."""

    def __init__(self, settings: LogSettings) -> None:
        # What names the process in every line; it was bound before the first request.
        bound = structlog.contextvars.get_contextvars()
        self._process: dict[str, object] = {name: bound[name] for name in ("instance", "role") if name in bound}
        self._json = settings.format == "json"
        self._logger = logging.getLogger(_NAME)

    def write(self, values: tuple[str, str, int, float, str, str | None, str | None], *, probe: bool) -> None:
        """The line of a request, its values in the order of KEYS; a probe's only when debugging."""
        level = logging.DEBUG if probe else logging.INFO
        if not self._logger.isEnabledFor(level):
            return
        line = dict(zip(KEYS, values, strict=True))
        handlers = logging.getLogger().handlers
        if self._json and len(handlers) == 1 and type(handlers[0]) is logging.StreamHandler:
            handlers[0].stream.write(_text({**self._process, **line}, logging.getLevelName(level).lower()))
        else:
            (general.debug if probe else general.info)("request", **line)


def _text(line: Mapping[str, object], level: str) -> str:
    who = line["principal"]
    head = {"event": "request", "level": level, "logger": _NAME, "time": datetime.now(UTC)}
    content = {**head, **line, "principal": _redacted(who) if isinstance(who, str) else None}
    return orjson.dumps(content, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE).decode()

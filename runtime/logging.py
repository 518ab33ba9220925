"""Structured logs on stderr, one JSON object per line, that cannot carry a row, a payload or a secret.

Three fences, each enough for the cases it knows: only the keys in ALLOWED are written (the rest is dropped and counted
in `dropped_keys`); values are scalars with credentials and addresses of persons cut out; an exception is reduced to its
class and the place in our code, since a driver's message quotes row values. Records of other libraries lose their
arguments except numbers. A message is a fixed sentence; whatever varies is a key.

    log = get_logger(__name__)
    log.info("page published", shard=3, rows=4000)
"""

import enum
import hashlib
import logging
import re
import sys
import threading
import traceback
import uuid
from collections.abc import MutableMapping
from datetime import date, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TextIO, cast

import structlog
from opentelemetry import trace

from runtime.settings import LogSettings

Event = MutableMapping[str, Any]

ROOT = Path(__file__).resolve().parent.parent

# Names, numbers, codes and surrogate ids only. Add a key here when no value of it can come from a person's text.
ALLOWED = frozenset(
    """
    event level time logger process instance role
    trace_id span_id request_id causation dropped_keys
    tenant_id principal user_id aggregate aggregate_id event_id event_type message_type action code status reason
    kind fingerprint incident_id work_item_id key_id version cycle sequence
    topic topics group partition partitions offset offsets next_offset key_hash epoch generation member fence step
    shard shards term floor owner lease page unsent rows records batch bytes size limit count total
    applied refused duplicates parked waiting redriven discarded released gaps
    attempt delay_ms duration_ms latency_ms age_ms lag interval_ms deadline_ms
    method route http_status port host pid exit_code signal path migration checksum table column
    error error_at error_causes sqlstate constraint kafka_error
    """.split()
)

_OUR_ROOMS = (
    *("schemas", "domain", "processors", "outbox_relay", "workers", "projections", "api", "runtime"),
    *("clients", "demo"),
)
_LONGEST = 300
_CODE = re.compile(r"[\w.:-]{0,100}")
_SECRETS = re.compile(
    r"(?P<login>(?<=://)[^/@\s]+(?=@))"
    r"|eyJ[\w-]{8,}\.[\w-]+\.[\w-]*"
    r"|(?i:\b(?:bearer|basic)\s+[\w.~+/=-]{8,})"
    r"|(?i:\b(?:password|passwd|pwd|secret|token|api[_-]?key)\s*[=:]\s*[^\s,;&]+)"
    r"|-----BEGIN [^-]+-----.*?(?:-----END [^-]+-----|$)"
    r"|[\w.+-]+@[\w-]+\.[\w.-]+",
    re.DOTALL,
)


class Logger(Protocol):
    """What callers use of structlog's logger: a fixed sentence and keys."""

    def debug(self, event: str, /, **keys: Any) -> Any: ...
    def info(self, event: str, /, **keys: Any) -> Any: ...
    def warning(self, event: str, /, **keys: Any) -> Any: ...
    def error(self, event: str, /, **keys: Any) -> Any: ...
    def bind(self, **keys: Any) -> "Logger": ...


def get_logger(name: str) -> Logger:
    """A logger of this name. Give an exception as `error=exc`; a Kafka key as `key=...`, which is written hashed."""
    return cast(Logger, structlog.stdlib.get_logger(name))


def configure(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Send every log record of this process, ours and the libraries', through the fences to stderr."""
    fences: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", key="time"),
        add_trace,
        reduce_exceptions,
        hash_keys,
        keep_allowed,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *fences, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[take_foreign, *fences],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(settings)],
            keep_exc_info=False,
            keep_stack_info=False,
            use_get_message=False,
            pass_foreign_args=True,
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.level.upper())
    # Their own handlers would print past the fences.
    for name in ("uvicorn", "uvicorn.access", "uvicorn.error", "aiokafka", "asyncio"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda args: _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)


def _until_configured() -> None:
    """What a command logs before, or without, `configure`: warnings and errors, through the fences, never on stdout."""
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            add_trace,
            reduce_exceptions,
            hash_keys,
            keep_allowed,
            structlog.dev.ConsoleRenderer(colors=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def place_of(error: BaseException) -> str:
    """`file:line` of the innermost frame in our rooms, else of the innermost frame; never text of the error."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "nowhere"
    ours = [frame for frame in frames if _room_of(frame.filename) in _OUR_ROOMS]
    frame = (ours or list(frames))[-1]
    path = Path(frame.filename)
    shown = path.relative_to(ROOT) if _room_of(frame.filename) in _OUR_ROOMS else Path(path.name)
    return f"{shown}:{frame.lineno}"


def _room_of(filename: str) -> str:
    path = Path(filename)
    return path.relative_to(ROOT).parts[0] if path.is_relative_to(ROOT) else ""


def add_trace(_logger: Any, _method: str, event: Event) -> Event:
    """The ids of the active span, so that a log line leads to its trace."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event


def reduce_exceptions(_logger: Any, _method: str, event: Event) -> Event:
    """Class, place, causes and PostgreSQL's codes in place of the exception; its message is never asked for."""
    given = event.pop("exc_info", None)
    event.pop("stack_info", None)
    error = _as_exception(given) or _as_exception(event.get("error"))
    if error is None:
        if not _CODE.fullmatch(str(event.get("error", ""))):
            event["error"] = "[redacted]"  # str(error) of a driver quotes row values
        return event
    event["error"] = _class_of(error)
    event["error_at"] = place_of(error)
    causes = _causes(error)
    if causes:
        event["error_causes"] = [f"{_class_of(cause)} at {place_of(cause)}" for cause in causes]
    for cause in (error, *causes):
        # asyncpg: names of the schema, unlike `detail` and `message`, which quote the row.
        for name, key in (("sqlstate", "sqlstate"), ("constraint_name", "constraint"), ("table_name", "table")):
            if isinstance(value := getattr(cause, name, None), str):
                event.setdefault(key, value)
    return event


def hash_keys(_logger: Any, _method: str, event: Event) -> Event:
    """A Kafka key becomes a short hash: enough to follow one key through the log."""
    if (key := event.pop("key", None)) is not None:
        raw = key if isinstance(key, bytes) else str(key).encode()
        event["key_hash"] = hashlib.blake2b(raw, digest_size=8).hexdigest()
    return event


def keep_allowed(_logger: Any, _method: str, event: Event) -> Event:
    """Drop and count every key that is not declared, and every value that is no plain scalar or list of them."""
    # structlog's own bookkeeping; the formatter takes it out again before anything is written.
    kept: Event = {name: value for name, value in event.items() if name in ("_record", "_from_structlog")}
    dropped = 0
    for name, value in event.items():
        if name in kept:
            continue
        plain = plain_value(value)
        if name in ALLOWED and (plain is not None or value is None):
            kept[name] = plain
        else:
            dropped += 1
    if dropped:
        kept["dropped_keys"] = dropped
    return kept


def plain_value(value: Any) -> Any:
    """A value as it may be written, or None when it is of a kind that may hold anything."""
    match value:
        case enum.Enum():
            return plain_value(value.value)
        case bool() | int() | float():
            return value
        case str():
            return redact(value)
        case uuid.UUID() | date() | timedelta() | Path():
            return redact(str(value))
        case list() | tuple() | set() | frozenset():
            return [plain_value(item) for item in list(value)[:50]]
        case _:
            return None


def redact(text: str) -> str:
    """Cut credentials, tokens and mail addresses out of a text, and the text to a length."""
    cut = _SECRETS.sub("[redacted]", text)
    return cut if len(cut) <= _LONGEST else cut[:_LONGEST] + "…"


def take_foreign(_logger: Any, _method: str, event: Event) -> Event:
    """A library's record: the first line of its template, numbers filled in, everything else named by its type only."""
    record: logging.LogRecord = event["_record"]
    template = str(record.msg).splitlines()[0] if str(record.msg) else ""
    arguments = event.pop("positional_args", ())
    event["event"] = redact(_filled(template, arguments if isinstance(arguments, tuple) else ()))
    if record.exc_info:
        event["exc_info"] = record.exc_info
    return event


def _filled(template: str, arguments: tuple[object, ...]) -> str:
    shown = tuple(item if isinstance(item, int | float) else _Hidden(item) for item in arguments)
    try:
        return template % shown if shown else template
    except (TypeError, ValueError):
        return template


class _Hidden:
    """Stands for an argument that may hold a payload."""

    def __init__(self, item: object) -> None:
        self._type = type(item).__name__

    def __repr__(self) -> str:
        return f"<{self._type}>"


def _as_exception(given: Any) -> BaseException | None:
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        return next((item for item in given if isinstance(item, BaseException)), None)
    return sys.exc_info()[1] if given is True else None


def _class_of(error: BaseException) -> str:
    kind = type(error)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _causes(error: BaseException) -> list[BaseException]:
    """The chain of causes and, of a group, its members; at most ten."""
    found: list[BaseException] = []
    ahead = [error]
    while ahead and len(found) < 10:
        current = ahead.pop(0)
        inner = list(current.exceptions) if isinstance(current, BaseExceptionGroup) else []
        before = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
        for item in [*inner, *([before] if before else [])]:
            if item is not error and item not in found:
                found.append(item)
                ahead.append(item)
    return found[:10]


def _renderer(settings: LogSettings) -> Any:
    if settings.format == "console":
        return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    return structlog.processors.JSONRenderer(ensure_ascii=False)


def _log_uncaught(kind: type[BaseException], error: BaseException | None, trace_back: TracebackType | None) -> None:
    if error is None or issubclass(kind, KeyboardInterrupt):
        return
    get_logger("casestream").error("uncaught exception", error=error.with_traceback(trace_back))


if not structlog.is_configured():
    _until_configured()

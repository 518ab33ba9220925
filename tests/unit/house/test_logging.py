"""Logs: a canary in keys, values, exceptions and libraries' records never gets out."""

import io
import json
import logging
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace

from runtime import logging as house_logging
from runtime.logging import configure, get_logger, plain_value, redact
from runtime.settings import LogSettings
from schemas.errors import TransientError

CANARY = "canary-51c2"
ROOT = Path(__file__).parents[3]
log = get_logger("test")


class Captured:
    """The log's stream, read as JSON lines."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def written() -> Iterator[Captured]:
    root = logging.getLogger()
    before = (root.handlers, root.level, sys.excepthook, house_logging.threading.excepthook)
    captured = Captured()
    configure(LogSettings(), captured.stream)
    yield captured
    root.handlers, root.level, sys.excepthook, house_logging.threading.excepthook = before
    logging.captureWarnings(False)
    structlog.reset_defaults()


def unique_violation() -> asyncpg.UniqueViolationError:
    error = asyncpg.UniqueViolationError(f"duplicate {CANARY}")
    error.detail = f"Key (name)=({CANARY}) already exists."
    error.constraint_name = "tenants_pkey"
    return error


@pytest.mark.requirement("SP-9")
def test_a_line_is_one_json_object_with_level_time_and_its_keys(written: Captured) -> None:
    log.info("page published", shard=3, rows=4000, group="work-items")
    (line,) = written.lines
    assert line["event"] == "page published"
    assert (line["level"], line["logger"], line["shard"], line["rows"], line["group"]) == (
        "info",
        "test",
        3,
        4000,
        "work-items",
    )
    assert datetime.fromisoformat(line["time"]).tzinfo is not None


def test_an_undeclared_key_is_dropped_and_counted(written: Captured) -> None:
    log.info("work item created", title=CANARY, payload={"a": CANARY}, tenant_id="t1")
    assert CANARY not in written.text
    assert written.lines[0]["dropped_keys"] == 2
    assert written.lines[0]["tenant_id"] == "t1"


def test_a_value_that_may_hold_anything_is_dropped_even_under_a_declared_key(written: Captured) -> None:
    log.info("refused", code={"text": CANARY}, reason=CANARY.encode(), count=object())
    assert CANARY not in written.text
    assert written.lines[0]["dropped_keys"] == 3


@pytest.mark.requirement("SP-8")
def test_the_tenant_bound_to_the_context_is_on_every_line(written: Captured) -> None:
    with structlog.contextvars.bound_contextvars(tenant_id="t1", secret_context=CANARY):
        log.info("one")
        logging.getLogger("aiokafka").warning("two")
    assert [line["tenant_id"] for line in written.lines] == ["t1", "t1"]
    assert CANARY not in written.text


def test_an_exception_is_class_place_and_codes(written: Captured) -> None:
    try:
        try:
            raise unique_violation()
        except asyncpg.PostgresError as cause:
            raise TransientError(CANARY) from cause
    except TransientError as error:
        log.error("batch failed", error=error)
    (line,) = written.lines
    assert CANARY not in written.text
    assert line["error"] == "schemas.errors.TransientError"
    assert line["error_at"].startswith("test_logging.py:")
    assert line["error_causes"][0].startswith("asyncpg.exceptions.UniqueViolationError at test_logging.py:")
    assert (line["sqlstate"], line["constraint"]) == ("23505", "tenants_pkey")


def test_the_text_of_an_error_is_not_taken_for_its_class(written: Captured) -> None:
    log.error("batch failed", error=f"Key (name)=({CANARY}) already exists.")
    assert CANARY not in written.text


def test_members_of_an_exception_group_are_named(written: Captured) -> None:
    log.error("tasks failed", error=ExceptionGroup(CANARY, [unique_violation(), ValueError(CANARY)]))
    assert CANARY not in written.text
    assert [cause.split(" at ")[0] for cause in written.lines[0]["error_causes"]] == [
        "asyncpg.exceptions.UniqueViolationError",
        "ValueError",
    ]


def test_a_librarys_record_keeps_its_template_and_its_numbers(written: Captured) -> None:
    kafka = logging.getLogger("aiokafka.consumer")
    kafka.warning("node %s failed at %d", CANARY, 3)
    try:
        raise unique_violation()
    except asyncpg.PostgresError:
        kafka.exception("unexpected")
    logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: <Task %s>", CANARY)
    assert CANARY not in written.text
    assert [line["event"] for line in written.lines] == [
        "node <str> failed at 3",
        "unexpected",
        "Task exception was never retrieved",
    ]
    assert written.lines[1]["error"] == "asyncpg.exceptions.UniqueViolationError"


def test_a_record_whose_arguments_do_not_fit_keeps_its_template() -> None:
    record = logging.LogRecord("aiokafka", logging.INFO, __file__, 1, "took %d ms", (CANARY,), None)
    taken = house_logging.take_foreign(None, "info", {"_record": record, "positional_args": record.args})
    assert taken["event"] == "took %d ms"


def test_an_uncaught_exception_goes_through_the_fences(written: Captured, capsys: pytest.CaptureFixture[str]) -> None:
    error = unique_violation()
    sys.excepthook(type(error), error, None)
    assert written.lines[0]["event"] == "uncaught exception"
    assert CANARY not in written.text + capsys.readouterr().err


def test_a_kafka_key_is_hashed_the_same_way_each_time(written: Captured) -> None:
    log.info("parked", key=b"t1|case|1")
    log.info("parked", key="t1|case|1")
    first, second = written.lines
    assert "key" not in first
    assert first["key_hash"] == second["key_hash"]
    assert "case" not in first["key_hash"]


def test_the_active_span_is_on_the_line(written: Captured) -> None:
    context = trace.SpanContext(0x1234, 0x5678, is_remote=False)
    with trace.use_span(trace.NonRecordingSpan(context)):
        log.info("one")
    assert written.lines[0]["trace_id"] == f"{0x1234:032x}"
    assert written.lines[0]["span_id"] == f"{0x5678:016x}"


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://cs_api:{CANARY}@db/x",
        f"Authorization: Bearer {CANARY}xyz",
        f"password={CANARY}",
        f"token: {CANARY}",
        f"eyJhbGciOiJub25lIn0.{CANARY}.x",
        f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----",
        f"{CANARY}@example.org",
    ],
)
def test_credentials_and_addresses_of_persons_are_cut_out(text: str) -> None:
    assert CANARY not in redact(text)


@given(st.text(max_size=2000))
def test_a_text_is_never_longer_than_its_limit(text: str) -> None:
    assert len(redact(text)) <= 301


def test_plain_values_stay_and_others_do_not() -> None:
    class Colour(Enum):
        RED = "red"

    one = uuid.uuid4()
    assert plain_value([1, 2.5, True, "a", Colour.RED, one]) == [1, 2.5, True, "a", "red", str(one)]
    assert plain_value(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01 00:00:00+00:00"
    assert plain_value({"a": 1}) is None
    assert plain_value(b"bytes") is None


def test_a_command_that_configures_nothing_logs_through_the_fences_and_never_on_stdout() -> None:
    code = (
        "from runtime.logging import get_logger; log = get_logger('x'); log.info('unseen');"
        " log.error('a key does not open', key_id='k-1', row='canary', error=ValueError('canary'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == ""
    assert "a key does not open" in done.stderr
    assert "k-1" in done.stderr
    assert "canary" not in done.stderr
    assert "unseen" not in done.stderr

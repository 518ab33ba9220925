"""The door's small parts: cursors, entity tags, trace context, problems, idempotency keys. Round trips and forgeries."""

import io
import json
import logging
from dataclasses import replace

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from api import tracing
from api.conditions import NO_VERSION, etag, if_match
from api.description import problem_codes
from api.idempotency import read_key
from api.pages import Cursors, binding, next_link
from api.problems import CATALOGUE, Problem, pointer, problem_of, validation_errors
from api.request_log import KEYS, RequestLog
from api.routes import ROUTES
from api.transactions import begin_statement
from runtime.logging import ALLOWED, configure
from runtime.settings import LogSettings
from schemas.errors import Rejected

BOUND = binding("north", "/items", {"status": "open"})


def request(*headers: tuple[str, str], method: str = "POST", path: str = "/x") -> Request:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return Request({"type": "http", "method": method, "path": path, "headers": raw, "query_string": b"", "scheme": "http"})


@given(st.lists(st.text(max_size=50), min_size=1, max_size=4))
def test_a_cursor_gives_back_its_position(position: list[str]) -> None:
    cursors = Cursors(b"k" * 32)
    assert cursors.read(BOUND, cursors.write(BOUND, position)) == position


@given(st.data())
def test_a_changed_cursor_is_refused(data: st.DataObject) -> None:
    cursor = Cursors(b"k" * 32).write(BOUND, ["2026-01-01", "id"])
    place = data.draw(st.integers(0, len(cursor) - 2))  # the last character may have bits that mean nothing
    other = data.draw(st.sampled_from("ABCxyz019-_").filter(lambda sign: sign != cursor[place]))
    with pytest.raises(Problem):
        Cursors(b"k" * 32).read(BOUND, cursor[:place] + other + cursor[place + 1 :])


@given(st.text(max_size=100))
def test_no_text_is_a_cursor_by_chance(text: str) -> None:
    with pytest.raises(Problem):
        Cursors(b"k" * 32).read(BOUND, text)


def test_a_cursor_of_another_key_filter_list_or_tenant_is_refused() -> None:
    cursor = Cursors(b"k" * 32).write(BOUND, ["a"])
    others = [binding("south", "/items", {"status": "open"}), binding("north", "/others", {"status": "open"})]
    others.append(binding("north", "/items", {}))
    for bound_to in others:
        with pytest.raises(Problem):
            Cursors(b"k" * 32).read(bound_to, cursor)
    with pytest.raises(Problem):
        Cursors(b"K" * 32).read(BOUND, cursor)


def test_a_link_keeps_the_filter() -> None:
    assert next_link("/items", {"status": "open"}, 5, "c") == '</items?status=open&limit=5&cursor=c>; rel="next"'


@given(st.integers(1, 10**17))
def test_an_etag_is_an_if_match(version: int) -> None:
    assert if_match(request(("if-match", etag(version)))) == version


@pytest.mark.parametrize("tag", ['""', '"0"', '"01"', '"abc"', 'W/"7"', '"-1"', '"' + "9" * 30 + '"'])
def test_a_tag_that_is_not_ours_matches_nothing(tag: str) -> None:
    assert if_match(request(("if-match", tag))) == NO_VERSION


@given(st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", fullmatch=True))
def test_a_callers_trace_is_continued_with_a_span_of_our_own(given_text: str) -> None:
    version, trace, parent, flags = given_text.split("-")
    begun = tracing.begin(given_text.encode())
    valid = version != "ff" and trace.strip("0") and parent.strip("0")
    assert (begun.trace_id == trace) == bool(valid)
    assert begun.span_id != parent
    assert begun.traceparent == f"00-{begun.trace_id}-{begun.span_id}-{flags if valid else '01'}"


@given(st.binary(max_size=80))
def test_no_traceparent_breaks_anything(noise: bytes) -> None:
    assert len(tracing.begin(noise).traceparent) == 55


def test_version_00_ends_with_its_flags() -> None:
    good = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    assert tracing.begin(good.encode()).trace_id == "a" * 32
    assert tracing.begin(f"{good}-more".encode()).trace_id != "a" * 32
    assert tracing.begin(f"01{good[2:]}-more".encode()).trace_id == "a" * 32


@pytest.mark.parametrize(("text", "key"), [("abc", "abc"), ('"abc"', "abc"), (r'"a\"b\\"', 'a"b\\'), ('"a b"', "a b")])
def test_an_idempotency_key_is_a_string_or_a_bare_token(text: str, key: str) -> None:
    read = read_key(request(("idempotency-key", text)), "north", "an", b"{}", required=True)
    assert read is not None
    assert (read.key, read.route) == (key, "POST /x")


def test_the_fingerprint_covers_body_and_precondition() -> None:
    def fingerprint(body: bytes, *headers: tuple[str, str]) -> bytes:
        read = read_key(request(("idempotency-key", "k"), *headers), "north", "an", body, required=True)
        assert read is not None
        return read.fingerprint

    assert fingerprint(b"{}") == fingerprint(b"{}")
    assert len({fingerprint(b"{}"), fingerprint(b"{ }"), fingerprint(b"{}", ("if-match", '"1"'))}) == 3


def test_two_idempotency_keys_are_refused() -> None:
    with pytest.raises(Problem):
        read_key(request(("idempotency-key", "a"), ("idempotency-key", "b")), "n", "a", b"", required=False)


@pytest.mark.parametrize("tenant", ["", "a'b", "a b", "a\\b", "a;b", "-a", "a" * 65, "ä"])
def test_a_tenant_that_would_need_quoting_is_no_tenant(tenant: str) -> None:
    with pytest.raises(ValueError, match="tenant id"):
        begin_statement(tenant)


def test_a_stale_view_is_412_only_when_if_match_stated_it() -> None:
    stale = Rejected("ConflictState", "m", {"version": 7, "status": "open"})
    assert problem_of(stale).status_code == 409
    assert problem_of(stale, if_match=6).status_code == 412
    # The version matched; something else is in the way.
    assert problem_of(stale, if_match=7).status_code == 409
    assert problem_of(stale).members == {"currentVersion": 7, "currentStatus": "open"}


def test_a_code_is_answered_only_under_its_own_statuses() -> None:
    with pytest.raises(ValueError, match="not 404"):
        Problem("ConflictState", "m", status=404)


def test_every_code_of_every_route_is_in_the_catalogue() -> None:
    for route in ROUTES:
        assert set(problem_codes(route)) <= set(CATALOGUE), route.path
        missing = replace(route, missing=None)
        assert set(problem_codes(missing)) <= set(problem_codes(route))


def test_a_pointer_escapes_and_is_bounded() -> None:
    assert pointer(("a/b", "c~d", 3)) == "/a~1b/c~0d/3"
    assert len(pointer(("x" * 1000,))) == 200


def test_findings_are_bounded_and_never_quote_a_validators_text() -> None:
    finding = {"type": "value_error", "loc": ("body", "zone"), "msg": "Value error, secret", "input": "secret"}
    assert (
        validation_errors([finding] * 80)
        == [{"pointer": "/zone", "code": "value_error", "message": "The value is not valid."}] * 50
    )


def test_the_request_log_has_only_keys_that_a_log_may_have() -> None:
    assert set(KEYS) <= ALLOWED


@pytest.mark.requirement("SP-9")
def test_both_ways_of_writing_a_request_say_the_same() -> None:
    values = ("GET", "/x", 200, 1.25, "a" * 32, "north", "an@example.com")
    written = [io.StringIO(), io.StringIO()]
    before = logging.getLogger().handlers
    structlog.contextvars.bind_contextvars(instance="here", role="api")
    try:
        for stream, handlers in zip(written, (1, 2), strict=True):
            configure(LogSettings.model_validate({}), stream)
            # With a second handler the general logger writes.
            logging.getLogger().handlers += [logging.NullHandler()] * (handlers - 1)
            RequestLog(LogSettings.model_validate({})).write(values, probe=False)
            RequestLog(LogSettings.model_validate({})).write(values, probe=True)
    finally:
        structlog.contextvars.clear_contextvars()
        logging.getLogger().handlers = before
    quick, general = (json.loads(stream.getvalue()) for stream in written)
    assert (quick["principal"], quick["role"]) == ("[redacted]", "api")
    assert quick["time"][-1] == general["time"][-1] == "Z"
    assert {**quick, "time": ""} == {**general, "time": ""}

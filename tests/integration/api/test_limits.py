"""What a request may be: size, depth, media type, JSON. Refused before anything is understood, and never a server error."""

import asyncio

import pytest

from tests.integration.api.conftest import ITEMS, Served
from tests.integration.api.serving import Listening

MIB = 1024 * 1024


async def post(served: Served, content: bytes, content_type: str | None = "application/json") -> tuple[int, str]:
    headers = served.headers(idempotency_key="k") | ({"content-type": content_type} if content_type else {})
    answer = await served.client.post(ITEMS, content=content, headers=headers)
    return answer.status_code, answer.json()["error"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"{", (400, "MalformedBody")),
        (b'{"title": "\xff"}', (400, "MalformedBody")),
        (b'{"title": "\\ud800"}', (400, "MalformedBody")),
        (b'{"title": NaN}', (400, "MalformedBody")),
        (b"[" * 100_000, (400, "BodyTooDeep")),
        (b'{"title":' * 2000 + b"1" + b"}" * 2000, (400, "BodyTooDeep")),
        (b"[" * 33 + b"]" * 33, (400, "BodyTooDeep")),
        (b"[" * 32 + b"]" * 32, (422, "ValidationFailed")),
        (b'{"title": "' + b"[{" * 200 + b'"}', (201, "")),
        (b"null", (422, "ValidationFailed")),
        (b"", (422, "ValidationFailed")),
        (b'"text"', (422, "ValidationFailed")),
        (b"{}", (422, "ValidationFailed")),
        (b'{"title": ""}', (422, "ValidationFailed")),
        (b'{"title": "a\\u0000b"}', (422, "ValidationFailed")),
        (b'{"title": "x", "dueAt": "0001-01-01T00:00:00+14:00"}', (422, "ValidationFailed")),
        (b'{"title": "x", "dueAt": "9999-12-31T23:59:59-14:00"}', (422, "ValidationFailed")),
        (b'{"title": "x", "dueAt": 660}', (422, "ValidationFailed")),
        (b'{"title": "x", "dueAt": "1700000000"}', (422, "ValidationFailed")),
        (b'{"title": "x", "dueAt": true}', (422, "ValidationFailed")),
        (b'{"title": "x", "draft": "yes"}', (422, "ValidationFailed")),
        (b'{"title": "x", "draft": 1}', (422, "ValidationFailed")),
        (b'{"title": "x", "followerIds": ' + b"[" + b'"a",' * 100 + b'"a"]}', (422, "ValidationFailed")),
        (b'{"title": "x", "assigneeId": "a|b"}', (422, "ValidationFailed")),
        (b'{"title": "' + b"x" * (MIB + 1) + b'"}', (413, "BodyTooLarge")),
    ],
)
async def test_a_bad_body_is_a_problem(served: Served, content: bytes, expected: tuple[int, str]) -> None:
    headers = served.headers(idempotency_key="k") | {"content-type": "application/json"}
    answer = await served.client.post(ITEMS, content=content, headers=headers)
    assert (answer.status_code, answer.json().get("error", "")) == expected, answer.text


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
async def test_a_body_must_say_that_it_is_json(served: Served, content_type: str | None) -> None:
    assert await post(served, b'{"title": "x"}', content_type) == (415, "UnsupportedMediaType")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json"])
async def test_json_has_several_names(served: Served, content_type: str) -> None:
    headers = served.headers(idempotency_key="k") | {"content-type": content_type}
    assert (await served.client.post(ITEMS, content=b'{"title": "x"}', headers=headers)).status_code == 201


async def test_values_are_never_repeated_in_a_problem(served: Served) -> None:
    canary = "canary-7731"
    bodies: list[dict[str, object]] = [
        {"title": [canary]},
        {"title": "x", "priority": canary},
        {"title": "x", "dueAt": canary},
        {"title": "x", "assigneeId": canary + "|"},
        {"title": "x", "workItemId": canary},
        {"title": "x", "draft": canary},
    ]
    for body in bodies:
        answer = await served.client.post(ITEMS, json=body, headers=served.headers(idempotency_key="k"))
        assert answer.status_code == 422
        assert canary not in answer.text, body
        assert set(answer.json()["errors"][0]) == {"pointer", "code", "message"}
    for query in (f"status={canary}", f"limit={canary}", f"priority={canary}"):
        answer = await served.client.get(f"{ITEMS}?{query}", headers=served.headers())
        assert (answer.status_code, canary in answer.text) == (422, False)
        assert answer.json()["errors"][0]["in"] == "query"


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=-1", "limit=1e9", "limit=99999999999999999999", "status=CLOSED"]
)
async def test_a_page_has_limits(served: Served, query: str) -> None:
    answer = await served.client.get(f"{ITEMS}?{query}", headers=served.headers())
    assert (answer.status_code, answer.json()["error"]) == (422, "ValidationFailed")


async def test_a_misspelt_filter_does_not_show_everything(served: Served) -> None:
    answer = await served.client.get(f"{ITEMS}?statuss=open", headers=served.headers())
    assert (answer.status_code, answer.json()["errors"][0]["in"]) == (422, "query")
    assert "assigneeId" in answer.json()["errors"][0]["message"]


async def test_twenty_megabytes_are_refused_without_being_held(listening: Listening) -> None:
    """Sent with a length, and in chunks without one; the process's memory stays where it was."""
    before = listening.memory()
    head = listening.head("POST", ITEMS, "content-type: application/json", "idempotency-key: k")
    declared = await listening.raw(head + f"content-length: {20 * MIB}\r\n\r\n".encode(), [b"x" * MIB] * 20)
    chunk = f"{MIB:x}\r\n".encode() + b"x" * MIB + b"\r\n"
    chunked = await listening.raw(head + b"transfer-encoding: chunked\r\n\r\n", [chunk] * 20 + [b"0\r\n\r\n"])
    assert [declared[:12], chunked[:12]] == [b"HTTP/1.1 413", b"HTTP/1.1 413"]
    assert listening.memory() - before < 10 * MIB


async def test_a_stranger_is_refused_before_his_body_arrives(listening: Listening) -> None:
    head = f"POST {ITEMS} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n".encode()
    answer = await asyncio.wait_for(listening.raw(head, []), 60)
    assert answer.startswith(b"HTTP/1.1 401")


async def test_a_parameter_that_is_sent_twice_is_refused_by_name(served: Served) -> None:
    path = "/api/v1/cases?subjectId=s-1&subjectId=s-2&className=com.app.OrderCase"
    answer = await served.client.get(path, headers=served.headers(("case-reader",)))

    assert (answer.status_code, answer.json()["error"]) == (422, "ValidationFailed")
    assert [(each["parameter"], each["code"]) for each in answer.json()["errors"]] == [("subjectId", "repeated")]

"""Check Path without a database: what is found, what is masked, and what hostile paths and documents get."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.cases.check_path.checking import CHILD, Asked, Counted, PathProblem, count, find
from domain.cases.check_path.evaluation import Check
from domain.cases.check_path.redaction import redact
from domain.cases.path_grammar import parse_path
from domain.cases.paths import MISSING, compile_path
from runtime.enclosure import Enclosure, Stopped

CANARY = "canary-4417"
DOCUMENT = {
    "className": "com.app.OrderCase",
    "total": 12.5,
    "big": 9007199254740993,
    "nothing": None,
    "customer": {"name": CANARY, "city": "Hue", "phone": [CANARY, CANARY]},
    "items": [{"sku": "a-1", "qty": 2, "taxCode": CANARY}, {"sku": "b-2", "qty": 40, "taxCode": "17"}],
}
RAW = json.dumps(DOCUMENT).encode()
SENSITIVE = ["$.customer.name", "$.customer.phone", "$.items[*].taxCode"]


@pytest.fixture
async def enclosure() -> AsyncIterator[Enclosure]:
    # Only what has to be too late is hurried.
    made = Enclosure(CHILD, seconds=30.0)
    yield made
    await made.close()


def values(path: str, column_type: str | None = None) -> list[Any]:
    return [(shown.value, shown.masked) for shown in Check(path, column_type, SENSITIVE).find(RAW).values]


@pytest.mark.requirement("CD-14")
@pytest.mark.parametrize(
    ("path", "column_type", "outcome", "json_type", "converted"),
    [
        ("$.total", "numeric(12,2)", "value", "number", "12.5"),
        ("$.big", "bigint", "value", "integer", "9007199254740993"),
        ("$.customer.city", "text", "value", "string", "Hue"),
        ("$.items[-1].qty", "integer", "value", "integer", "40"),
        ("$['customer']", None, "value", "object", None),
        ("$.nothing", "text", "null", None, None),
        ("$.absent.deep", "text", "missing", None, None),
    ],
)
def test_a_value_is_shown_with_its_type_and_conversion(
    path: str, column_type: str | None, outcome: str, json_type: str | None, converted: str | None
) -> None:
    found = Check(path, column_type, SENSITIVE).find(RAW)
    assert found.outcome == outcome
    assert [(shown.json_type, shown.converted) for shown in found.values] == ([(json_type, converted)] if json_type else [])


def test_a_value_that_does_not_fit_says_why() -> None:
    (shown,) = Check("$.customer.city", "integer", SENSITIVE).find(RAW).values
    assert shown.converted is None
    assert shown.unfit


def test_a_list_of_rows_shows_each_value_and_how_many_there_are() -> None:
    raw = json.dumps({"items": [{"qty": number} for number in range(500)]}).encode()
    found = Check("$.items[*].qty", "integer", []).find(raw)
    assert (found.count, [shown.converted for shown in found.values]) == (500, [str(number) for number in range(20)])


@pytest.mark.parametrize(
    "path",
    [
        "$.customer.name",
        "$['customer']['name']",
        "$.customer",
        "$",
        "$.customer.*",
        "$.*.name",
        "$.customer['city','name']",
        "$.customer.phone",
        "$.customer.phone[0]",
        "$.customer.phone[-1:]",
        "$.customer.phone[*]",
        "$.items",
        "$.items[0]",
        "$.items[*].taxCode",
        "$.items[?(@.sku=='a-1')].taxCode",
        "$.items[?(@.sku=='a-1')]",
    ],
)
def test_a_sensitive_value_is_masked_whichever_way_a_path_takes(path: str) -> None:
    found = Check(path, "text", SENSITIVE).find(RAW)
    assert found.values
    assert CANARY not in repr(found)


def test_what_is_not_sensitive_is_shown_beside_what_is() -> None:
    ((text, masked),) = values("$.customer")
    assert masked
    assert json.loads(text) == {"name": "****", "city": "Hue", "phone": "****"}
    assert values("$.items[*].sku") == [('"a-1"', False), ('"b-2"', False)]


@pytest.mark.parametrize("operator", ["==", "<", "<=", ">", ">=", "!="])
def test_a_filter_is_no_way_to_ask_about_a_masked_value(operator: str) -> None:
    """Compared with any text, the masked values of both items answer alike: the copy without them is what is compared."""
    for guess in ("17", CANARY, "", "zzz"):
        found = Check(f"$.items[?(@.taxCode{operator}'{guess}')].sku", None, SENSITIVE).find(RAW)
        assert found.outcome == "missing" or found.values[0].value == '["a-1","b-2"]'


def test_whether_a_masked_value_fits_a_type_is_not_told() -> None:
    for column_type in ("integer", "numeric(3,0)", "date", "boolean"):
        (shown,) = Check("$.customer.name", column_type, SENSITIVE).find(RAW).values
        assert (shown.converted, shown.unfit) == (None, None)
        assert Check("$.customer.name", column_type, SENSITIVE).count([RAW]).unfit == 0


def test_many_records_are_counted_by_what_they_hold() -> None:
    records: list[Any] = [{"x": 1}, {"x": "1"}, {"x": None}, {}, {"x": [1]}, {"x": {}}, {"x": True}, {"x": 1.5}]
    documents = [json.dumps(record).encode() for record in records] + [b"{", b"[]"]
    tally = Check("$.x", "integer", []).count(documents)
    assert tally.records == 10
    assert dict(tally.outcomes) == {
        "integer": 1, "string": 1, "null": 1, "missing": 1, "array": 1, "object": 1, "boolean": 1, "number": 1, "unreadable": 2,
    }  # fmt: skip
    assert tally.unfit >= 3


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["a", "secret"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=12,
)
PATHS = ["$.a", "$.a.b", "$.b[0]", "$.a[*]", "$.a[*].b", "$.*.c", "$['a','b'].c", "$.a[1:].b", "$.a[?(@.b==1)].c", "$"]


@given(document=st.dictionaries(st.sampled_from(["a", "b", "c"]), JSON, max_size=3), path=st.sampled_from(PATHS))
def test_after_redaction_a_path_finds_only_masks_where_it_found_values(document: dict[str, Any], path: str) -> None:
    redacted = json.loads(json.dumps(document))
    redact(redacted, parse_path(path).segments)
    compiled = compile_path(path)
    before, after = compiled.read(document), compiled.read(redacted)
    if before is MISSING or after is MISSING:
        return
    if path == "$":
        assert set(after.values()) <= {"****"}
    else:
        assert set(after if compiled.many else [after]) == {"****"}


# -- in the child process


@pytest.mark.parametrize(
    "path",
    ["", "$", "$..x", "$.a[?(@.b =~ 'x')]", "a.b", "$.a[", "$.a[?match(@.b, '(a+)+$')]", "$" + "[0]" * 900, "$." + "é" * 1900,
     "$[?(" + "(" * 900 + "@.a" + ")" * 900 + ")]", "$.a[99999999999999999999]", "$['\\ud800']", "$" + ".*" * 40],
)  # fmt: skip
async def test_a_hostile_path_gets_an_answer(enclosure: Enclosure, path: str) -> None:
    wide = json.dumps({"a": [[[[1] * 8] * 8] * 8] * 8}).encode()
    said = await find(enclosure, Asked(path, "text", SENSITIVE), wide)
    assert isinstance(said, PathProblem | Stopped | dict)
    assert isinstance(await find(enclosure, Asked("$.total", "text", SENSITIVE), RAW), dict)


async def test_a_type_that_is_none_is_named(enclosure: Enclosure) -> None:
    said = await find(enclosure, Asked("$.total", "money", []), RAW)
    assert isinstance(said, PathProblem)
    assert said.position is None


@pytest.mark.parametrize(
    "document",
    [b"", b"null", b"[" * 100_000, b'{"a":' * 5_000 + b"1" + b"}" * 5_000, b'{"a": ' + b"9" * 800_000 + b"}", b"\xff\xfe",
     b'{"a": NaN}', b'{"a": "\\ud800"}', b'{"a": "\\u0000"}', b'{"a": ' + b'"' + b"x" * 899_000 + b'"}', b'{"a": 1e999999}'],
)  # fmt: skip
async def test_a_hostile_document_gets_an_answer(enclosure: Enclosure, document: bytes) -> None:
    said = await find(enclosure, Asked("$.a", "numeric(12,2)", []), document)
    assert isinstance(said, Stopped | dict)
    counted = await count(enclosure, Asked("$.total", "text", []), [document, RAW])
    assert isinstance(counted, Counted)


async def test_a_look_that_takes_too_long_is_given_up_and_the_loop_goes_on() -> None:
    # The steps bound the look at one record, and a chunk holds a hundred of them: what two take is never enough. All times are
    # this thread's own, so that it does not matter what else the machine does.
    one_of_forty = " || ".join(["@[*][?(@ == 0)]"] * 40)
    path, record = f"$.a[?({one_of_forty})]", json.dumps({"a": [list(range(100)) for _ in range(20)]}).encode()
    began = time.thread_time()
    Check(path, None, []).count([record] * 2)
    a_fiftieth = time.thread_time() - began
    slow, beats = Enclosure(CHILD, seconds=a_fiftieth), [time.thread_time()]
    await slow.ask(b"not a question")

    async def beat() -> None:
        while True:
            await asyncio.sleep(0.01)
            beats.append(time.thread_time())

    beating = asyncio.create_task(beat())
    counted = await count(slow, Asked(path, None, []), [record] * 100)
    beating.cancel()
    await slow.close()
    assert isinstance(counted, Counted)
    assert (counted.stopped, counted.tally.records) == ("time", 0)
    assert max(later - earlier for earlier, later in pairwise(beats)) < 10 * a_fiftieth


async def test_a_thousand_records_are_counted_in_chunks(enclosure: Enclosure) -> None:
    counted = await count(enclosure, Asked("$.total", "numeric(12,2)", SENSITIVE), [RAW] * 1_000)
    assert isinstance(counted, Counted)
    assert (counted.tally.records, dict(counted.tally.outcomes), counted.stopped) == (1_000, {"number": 1_000}, None)


async def test_without_records_the_path_is_still_looked_at(enclosure: Enclosure) -> None:
    assert isinstance(await count(enclosure, Asked("$..x", None, []), []), PathProblem)
    counted = await count(enclosure, Asked("$.x", None, []), [])
    assert isinstance(counted, Counted)
    assert counted.tally.records == 0

"""Documents are exact and strict, and the fast reader gives the exact reader's values."""

import json
import random
import timeit
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.cases import documents
from domain.cases.document_faults import first_fault
from domain.cases.documents import DocumentRefused, load_document, parse_document, reserved_names, splice
from domain.cases.json_texts import json_text

FORTY = "1234567890123456789012345678901234567890"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (FORTY, int(FORTY)),
        (f"-{FORTY}", -int(FORTY)),
        ("18446744073709551616", 2**64),
        (f"0.{FORTY}", Decimal(f"0.{FORTY}")),
        (f"{FORTY}.5", Decimal(f"{FORTY}.5")),
        ("9007199254740993.0", Decimal("9007199254740993.0")),
        ("0.30000000000000004", 0.30000000000000004),
        ("0.1", 0.1),
        ("1.10", 1.1),
        ("1e400", Decimal("1e400")),
        ("1e-400", Decimal("1e-400")),
        ("5e-324", 5e-324),
        ("4e-324", Decimal("4e-324")),
        ("1E5", 1e5),
        ("-0", 0),
        ("-0.0", -0.0),
        ("9" * 4_300, 10**4_300 - 1),
        ("1e9999", Decimal("1e9999")),
        ("1e-0009999", Decimal("1e-9999")),
    ],
)
def test_a_number_keeps_its_value(text: str, expected: Any) -> None:
    raw = f'{{"n":{text}}}'.encode()

    for read in (parse_document, load_document):
        value = read(raw)["n"]
        assert (type(value), value) == (type(expected), expected)


def nested(levels: int) -> bytes:
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


REFUSED = [
    (b'{"a":1,"a":1}', "duplicate-name", "/a"),
    (b'{"a":{"b":[0,{"c":1,"\\u0063":2}]}}', "duplicate-name", "/a/b/1/c"),
    (b'{"a":[1,NaN]}', "not-a-number", "/a/1"),
    (b'{"a":Infinity}', "not-a-number", "/a"),
    (b'{"a":-Infinity}', "not-a-number", "/a"),
    (b'{"a":"\\ud800"}', "lone-surrogate", "/a"),
    (b'{"a":"\\udfff\\ud800"}', "lone-surrogate", "/a"),
    (b'{"a":"\\uD83D\\u0041"}', "lone-surrogate", "/a"),
    (b'{"\\ud800":1}', "lone-surrogate", ""),
    (b'{"x/y~z":NaN}', "not-a-number", "/x~1y~0z"),
    (nested(51), "too-deep", "/a" * 50),
    (b'{"a":' + b"[" * 100_000, "too-deep", "/a" + "/0" * 49),
    (b"[" * 900_001, "too-large", ""),
    (b"[1]", "not-an-object", ""),
    (b'"a"', "not-an-object", ""),
    (b"null", "not-an-object", ""),
    (b'{"a":"\xff"}', "not-utf-8", "/a"),
    (b'{"a":"\xed\xa0\x80"}', "not-utf-8", "/a"),
    (b'{"a":"\xc0\xaf"}', "not-utf-8", "/a"),
    (b"\xff\xfe{\x00}\x00", "not-utf-8", ""),
    (b'{"a":1}\xff', "not-utf-8", ""),
    (b"\xef\xbb\xbf{}", "not-json", ""),
    (b"", "not-json", ""),
    (b"{", "not-json", ""),
    (b'{"a":1}x', "not-json", ""),
    (b'{"a":01}', "not-json", ""),
    (b'{"a":+1}', "not-json", "/a"),
    (b'{"a":1.}', "not-json", ""),
    (b'{"a":.1}', "not-json", "/a"),
    (b'{"a":[1,]}', "not-json", "/a/1"),
    (b'{"a":"\t"}', "not-json", "/a"),
    (b'{"a":"\\x"}', "not-json", "/a"),
    (b"{'a':1}", "not-json", ""),
    (b'{"a":tru}', "not-json", "/a"),
    (b'{"a":{"b" 1}}', "not-json", "/a/b"),
    (b'{"a":' + b"9" * 4_301 + b"}", "number-too-long", "/a"),
    (b'{"a":[1e10000]}', "number-too-long", "/a/0"),
    (b'{"a":1e99999999999999999999}', "number-too-long", "/a"),
    (b'{"a":0.' + b"9" * 4_300 + b"}", "number-too-long", "/a"),
]


@pytest.mark.parametrize(
    ("raw", "reason", "pointer"), REFUSED, ids=[f"{reason}-{at}" for at, (_, reason, _) in enumerate(REFUSED)]
)
def test_a_bad_document_is_refused_with_reason_and_place(raw: bytes, reason: str, pointer: str) -> None:
    with pytest.raises(DocumentRefused) as refused:
        parse_document(raw)

    assert (refused.value.reason, refused.value.pointer) == (reason, pointer)


def test_fifty_levels_pass_and_so_does_a_wide_document() -> None:
    assert parse_document(nested(50))
    assert parse_document(b'{"a":[' + b"[]," * 1_000 + b"{}]}")


def test_an_escaped_emoji_costs_no_second_reading() -> None:
    """Many clients escape whatever is not ASCII: one such character must not make a long document ten times as dear."""

    def seconds(first: str) -> float:
        raw = f'{{"a":["{first}"{",0" * 50_000}]}}'.encode()
        return min(timeit.repeat(lambda: parse_document(raw), number=1, repeat=5))

    assert seconds("\\ud83d\\ude00") < 4 * seconds("plain")


@pytest.mark.parametrize("text", [r"\\ud800", r"\\\ud83d\ude00", r"\ud83d\ude00\\ude00", r"\uD83D\uDE00\n\u00e9"])
def test_what_only_looks_like_half_a_pair_is_accepted(text: str) -> None:
    assert parse_document(f'{{"a":"{text}"}}'.encode()) == json.loads(f'{{"a":"{text}"}}')


def test_nul_and_pairs_of_surrogates_are_characters() -> None:
    assert parse_document(b'{"a":"\\u0000","b":"\\ud83d\\ude00"}') == {"a": "\0", "b": "😀"}


def test_a_refusal_quotes_no_value() -> None:
    with pytest.raises(DocumentRefused) as refused:
        parse_document(b'{"name":"canary","card":NaN}')

    assert "canary" not in str(refused.value)


def test_the_snapshot_has_the_variables_own_text() -> None:
    variables = f' {{ "n" : {FORTY} , "d":1.10 }}\n'
    document = splice(variables, {"className": "com.app.OrderCase", "tenantId": "acme"})

    assert document == f'{{"className":"com.app.OrderCase","tenantId":"acme","n" : {FORTY} , "d":1.10}}'.encode()
    assert parse_document(document)["n"] == int(FORTY)
    assert splice("{ }", {"a": None}) == b'{"a":null}'
    assert splice('{"a":1}', {}) == b'{"a":1}'
    assert reserved_names({"state": 1, "x": 2, "className": 3}, ["className", "state"]) == ["className", "state"]


# -- properties

digits = st.text("0123456789", min_size=1, max_size=45)
integers = st.builds(lambda sign, text: sign + (text.lstrip("0") or "0"), st.sampled_from(["", "-"]), digits)
exponents = st.builds(
    lambda e, sign, n: f"{e}{sign}{n}", st.sampled_from("eE"), st.sampled_from(["", "-", "+"]), st.integers(0, 700)
)
numbers = st.builds(
    lambda whole, fraction, exponent: whole + fraction + exponent,
    integers,
    st.one_of(st.just(""), digits.map(lambda text: f".{text}")),
    st.one_of(st.just(""), exponents),
)
texts = st.one_of(st.text(max_size=12), st.uuids().map(str), numbers, st.text("0123456789-e.", max_size=40))
values = st.recursive(
    st.one_of(numbers, texts.map(json.dumps), st.sampled_from(["true", "false", "null"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(texts, inner, max_size=4).map(
            lambda members: "{" + ",".join(f"{json.dumps(k)}: {v}" for k, v in members.items()) + "}"
        ),
    ),
    max_leaves=12,
)
objects = st.dictionaries(texts, values, max_size=5).map(
    lambda members: "{" + ",".join(f"{json.dumps(name, ensure_ascii=False)}:{value}" for name, value in members.items()) + "}"
)


def written(value: Any) -> Any:
    """Numbers as the decimals that they are, so that 1.10 and 1.1 are equal and 1 and true are not."""
    if isinstance(value, dict):
        return {name: written(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [written(inner) for inner in value]
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return (type(value).__name__, value)
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def typed(value: Any) -> str:
    return repr(value)


def exactly(raw: str) -> Any:
    return json.loads(raw, parse_float=Decimal, parse_int=Decimal)


@given(objects)
def test_numbers_in_are_numbers_out_by_both_readers(text: str) -> None:
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        return
    parsed = parse_document(raw)

    assert written(parsed) == written(exactly(text))
    assert typed(load_document(raw)) == typed(parsed)
    again = json_text(parsed)
    if again is not None:
        assert written(parse_document(again.encode())) == written(parsed)


@given(numbers)
def test_any_number_survives_the_fast_reader(text: str) -> None:
    raw = f'{{"a":[{text}, {text}],"b" : {text}\n}}'.encode()

    assert typed(load_document(raw)) == typed(parse_document(raw))


def test_a_million_random_numbers_are_too_long_a_test_so_here_are_some() -> None:
    rng = random.Random(86)
    for _ in range(3_000):
        number = f"{rng.choice(['', '-'])}{rng.getrandbits(rng.randint(1, 70))}" + rng.choice(
            ["", f".{rng.getrandbits(rng.randint(1, 60))}"]
        )
        number += rng.choice(["", "", f"e{rng.choice(['', '-', '+'])}{rng.randint(0, 340)}"])
        raw = f'{{"a":{number}}}'.encode()
        assert typed(load_document(raw)) == typed(parse_document(raw)), number


def test_without_the_look_at_numbers_the_fast_reader_would_lose_some(monkeypatch: pytest.MonkeyPatch) -> None:
    """A negative control."""
    monkeypatch.setattr(documents, "_may_lose", lambda raw: False)

    assert load_document(f'{{"n":0.{FORTY}}}'.encode()) != parse_document(f'{{"n":0.{FORTY}}}'.encode())


def test_most_documents_take_the_fast_reader() -> None:
    document = {
        "id": "3e4567e8-0e12-4f00-8a12-123456789012",
        "at": "2026-11-21T02:08:44.123456Z",
        "account": "1234567890123456789",
        "n": 10**17,
    }

    assert not documents._may_lose(orjson.dumps(document))
    assert documents._may_lose(b'{"n":12345678901234567890}')


@given(st.binary(max_size=60).map(lambda tail: b'{"a":' + tail))
@example(b"{}\xff")
def test_the_reader_and_the_finder_of_faults_agree(raw: bytes) -> None:
    _agree(raw)


@given(objects, st.randoms(use_true_random=False))
def test_they_agree_on_damaged_documents(text: str, rng: random.Random) -> None:
    raw = bytearray(text.encode(errors="surrogatepass"))
    for _ in range(rng.randint(0, 3)):
        at = rng.randrange(len(raw) + 1)
        raw[at : at + rng.randint(0, 2)] = rng.choice(
            [b"", b'"', b",", b"}", b"\\ud800", b"0", b"NaN", b"\xff", b" ", b"{", b"\x0b"]
        )
    _agree(bytes(raw))


def _agree(raw: bytes) -> None:
    fault = first_fault(raw, or_none=True)

    assert _refusal(raw) == (fault and (fault.reason, fault.pointer))


def _refusal(raw: bytes) -> tuple[str, str] | None:
    try:
        parse_document(raw)
    except DocumentRefused as refused:
        return refused.reason, refused.pointer
    return None

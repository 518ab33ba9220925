"""Paths mean what RFC 9535 says, and nothing hangs."""

import time
from decimal import Decimal
from typing import Any

import jsonpath_rfc9535
import pytest

from domain.cases import path_reading
from domain.cases.documents import parse_document
from domain.cases.path_grammar import ADVICE_NO_ARITHMETIC, ADVICE_NO_DESCENT, ADVICE_NO_FUNCTION, ADVICE_NO_REGEX
from domain.cases.paths import MISSING, PathExhausted, PathRefused, compile_path
from tests.unit.domain.cases import path_pairs
from tests.unit.domain.cases.invalid_paths import DIALECTS, INVALID, LIBRARY_TAKES, NOT_FOR_MAPPINGS

ORDER: dict[str, Any] = {
    "items": [{"sku": "a", "qty": 1}, {"sku": "b", "qty": 41.5}, {"qty": 7}],
    "params": {"region": "Huế", "a b": 1, "0": "zero"},
    "tags": ["x", "y"],
    "none": None,
}
INVALID_PATHS = [text for texts in INVALID.values() for text in texts]


@pytest.mark.requirement("CD-5", "trap-86")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$.items[0]", {"sku": "a", "qty": 1}),
        ("$.params['region']", "Huế"),
        ('$["params"]["a b"]', 1),
        ("$.params['\\u0030']", "zero"),
        ("$.items[-1].qty", 7),
        ("$ .items [1] .sku", "b"),
        ("$.none", None),
        ("$", ORDER),
        ("$.items[3]", MISSING),
        ("$.items[-4]", MISSING),
        ("$.items[2].sku", MISSING),
        ("$.none.a", MISSING),
        ("$.params[0]", MISSING),
        ("$.tags.x", MISSING),
        ("$.tags[0][0]", MISSING),
        ("$.nothing.at.all", MISSING),
    ],
)
def test_a_chain_of_names_and_indexes_is_one_value_or_missing(text: str, expected: Any) -> None:
    path = compile_path(text)

    assert path.read(ORDER) == expected
    assert not path.many
    assert path.child_prefix is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$.items[*].sku", ["a", "b"]),
        ("$.items[0,-1].qty", [1, 7]),
        ("$.items[1:].qty", [41.5, 7]),
        ("$.items[::-1].qty", [7, 41.5, 1]),
        ("$.items[::0]", MISSING),
        ("$.items[?@.qty > 40].sku", ["b"]),
        ("$.items[?@.qty>=7 && @.sku].sku", ["b"]),
        ("$.items[?!@.sku].qty", [7]),
        ("$.items[?@.sku == $.tags[9]].qty", [7]),
        ("$.params[?@ == 'Huế']", ["Huế"]),
        ("$.tags['a', 0, 0]", ["x", "x"]),
        ("$.nothing[*]", MISSING),
    ],
)
def test_the_other_selectors_give_a_list_or_missing(text: str, expected: Any) -> None:
    path = compile_path(text)

    assert path.read(ORDER) == expected
    assert path.many


@pytest.mark.requirement("trap-86")
@pytest.mark.parametrize(
    ("text", "prefix", "element"),
    [
        ("$.items[*].sku", "$.items", "$.sku"),
        ("$['items'].*['a b']", "$.items", "$['a b']"),
        ("$.items[*]", "$.items", "$"),
        ("$.a[0]['b\\n'][*].c[-1]", "$.a[0]['b\\u000a']", "$.c[-1]"),
        ("$['it\\'s \\\\'][*].x", "$['it\\'s \\\\']", "$.x"),
        ("$.items[0].sku", None, None),
        ("$.items[*].tags[*]", None, None),
        ("$[*].sku", None, None),
        ("$.items[*,0].sku", None, None),
        ("$.items[?@.a][*]", None, None),
        ("$.items[:].sku", None, None),
    ],
)
def test_one_wildcard_splits_a_path_into_list_and_element(text: str, prefix: str | None, element: str | None) -> None:
    path = compile_path(text)

    assert (path.child_prefix, path.element) == (prefix, element)
    if prefix and element:
        assert compile_path(f"{prefix}[*]{element[1:]}").child_prefix == prefix


def test_comparisons_tell_types_apart_and_numbers_by_value() -> None:
    document = parse_document(
        b'{"a":[1,true,1.0,"1",null,[1],[true],{"k":1},{"k":true},0.10000000000000000001,123456789012345678901234567890]}'
    )

    def chosen(condition: str) -> Any:
        return compile_path(f"$.a[?{condition}]").read(document)

    assert chosen("@==1") == [1, 1.0]
    assert chosen("@==true") == [True]
    assert chosen("@==$.a[5]") == [[1]]
    assert chosen("@==$.a[7]") == [{"k": 1}]
    assert chosen("@==null") == [None]
    assert chosen("@>0.1&&@<0.2") == [Decimal("0.10000000000000000001")]
    assert chosen("@==123456789012345678901234567890.0") == [123456789012345678901234567890]
    assert chosen("@.x==$.nothing && @!=$.a[1] && @<='1' && @>='1'") == ["1"]


@pytest.mark.parametrize("scalar", [0, "", False, None, 1])
def test_a_bare_node_exists_whatever_it_is(scalar: Any) -> None:
    # The library that is our oracle looks at the value's truth here: its mistake, and the reason why path_pairs spares `@`.
    assert compile_path("$.a[?@]").read({"a": [scalar]}) == [scalar]


@pytest.mark.requirement("CD-5")
def test_random_paths_over_random_documents_answer_as_the_standard_says() -> None:
    differences, selected = path_pairs.differences(seed=9535, pairs=2_000)

    assert differences == []
    assert selected > 400


def test_the_comparison_can_see_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """A negative control: where nothing is not equal to nothing, as in SQL, the pairs differ."""
    same = path_reading._same
    monkeypatch.setitem(
        path_reading._COMPARISONS, "==", lambda one, other, scope: one is not MISSING and same(one, other, scope)
    )
    compile_path.cache_clear()

    differences, _ = path_pairs.differences(seed=9535, pairs=2_000)

    compile_path.cache_clear()
    assert differences != []


def test_every_invalid_path_is_one_by_the_standard() -> None:
    """The table against the oracle, but for what the library takes and the grammar of the standard does not."""
    taken = [text for text in INVALID_PATHS if path_pairs.is_standard(text)]

    assert len(set(INVALID_PATHS)) >= 300
    assert set(taken) == LIBRARY_TAKES


@pytest.mark.requirement("CD-5")
@pytest.mark.parametrize("text", INVALID_PATHS)
def test_what_the_standard_refuses_is_refused(text: str) -> None:
    with pytest.raises(PathRefused) as refused:
        compile_path(text)

    assert refused.value.reason
    assert refused.value.advice
    assert 0 <= refused.value.position <= len(text)


def test_mutants_of_good_paths_are_refused_wherever_the_standard_refuses_them() -> None:
    accepted, refused = path_pairs.wrongly_accepted(seed=9535, mutants=3_000)

    assert accepted == []
    assert refused > 1_000


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        *((text, ADVICE_NO_DESCENT) for text in NOT_FOR_MAPPINGS["recursive descent"]),
        *((text, ADVICE_NO_FUNCTION) for text in NOT_FOR_MAPPINGS["function"]),
        *((text, ADVICE_NO_REGEX) for text in NOT_FOR_MAPPINGS["regular expression"]),
        *((text, ADVICE_NO_ARITHMETIC) for text in DIALECTS["arithmetic"]),
        *((text, ADVICE_NO_REGEX) for text in DIALECTS["regular expression"]),
    ],
)
def test_what_is_not_for_mappings_is_refused_with_advice(text: str, advice: str) -> None:
    with pytest.raises(PathRefused) as refused:
        compile_path(text)

    assert refused.value.advice == advice


@pytest.mark.parametrize("text", DIALECTS["function"])
def test_other_dialects_are_refused(text: str) -> None:
    with pytest.raises(PathRefused):
        compile_path(text)


def test_what_only_we_refuse_is_the_standards() -> None:
    for text in (text for texts in NOT_FOR_MAPPINGS.values() for text in texts):
        jsonpath_rfc9535.compile(text)


HOSTILE = [
    "$" + "[*]" * 333,
    "$[" + ",".join("*" * 400) + "]",
    "$" + "[?@[*]]" * 100,
    "$.a[?@==$.a]",
    "$.a[?$.a==$.b]",
    "$.a[?$.s==$.t]",
    "$.a[?$.a[?$.a[?$.a[?@>0]]]]",
    "$[" + "?@" * 300 + "]",
    "$[?" + "(" * 400 + "@" + ")" * 400 + "]",
    "$[?" + "!" * 500 + "@]",
    "$" + "[?@" * 300 + "]" * 300,
    "$['" + "a" * 2_000 + "']",
    "$[" + "9" * 900 + "]",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_path_takes_long_whatever_the_document(text: str) -> None:
    wide: dict[str, Any] = {"a": list(range(100_000)), "b": list(range(100_000)), "s": "x" * 400_000, "t": "x" * 399_999 + "y"}
    began = time.process_time()

    try:
        found = compile_path(text).read(wide)
    except (PathRefused, PathExhausted):
        found = MISSING

    assert time.process_time() - began < 2
    assert found is MISSING or len(found) <= path_reading.MAX_RESULTS


def test_too_many_results_are_exhaustion_and_not_a_part_of_them() -> None:
    with pytest.raises(PathExhausted, match="10001 values"):
        compile_path("$.a[*]").read({"a": [0] * 10_001})


def test_a_path_is_compiled_once() -> None:
    assert compile_path("$.compiled.once") is compile_path("$.compiled.once")

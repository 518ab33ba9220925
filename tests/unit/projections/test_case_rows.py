"""A document becomes rows: every outcome of every policy, child rows, protection, and no document that raises."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.cases.mapping.model import Policy, Provenance
from domain.cases.mapping.tables import ChildSpec, ColumnSpec, Feed, TableSpec
from projections.cases.project import MAX_CHILD_ROWS, Envelope, Problem, Protection, SpecRefused, compile_projection

ORDER = "com.app.OrderCase"
ENVELOPE = Envelope("acme", "case-1", ORDER, 3, "subject-1")
SAID = Provenance(ORDER, "file", "app", "order.yaml:1")


def feed(
    column: str, path: str, missing: Policy = "null", null: Policy = "null", error: Policy = "incident", default: Any = None
) -> Feed:
    return Feed(column, path, missing, null, error, default, SAID)


def table(columns: dict[str, str], *feeds: Feed, children: tuple[ChildSpec, ...] = (), sensitivity: Any = "none") -> TableSpec:
    return TableSpec(
        "case_plain_order",
        tuple(ColumnSpec(name, kind, sensitivity) for name, kind in columns.items()),
        {ORDER: feeds},
        children,
    )


def child(columns: dict[str, str], *feeds: Feed) -> ChildSpec:
    return ChildSpec(
        "case_plain_order_items", "$.items", tuple(ColumnSpec(name, kind) for name, kind in columns.items()), {ORDER: feeds}
    )


@pytest.mark.requirement("CD-3", "CD-4", "CD-5")
def test_a_document_fills_a_row_in_the_order_of_the_columns() -> None:
    spec = table(
        {"updated_at": "timestamptz", "first": "jsonb", "region": "text", "total": "numeric(12,2)", "unfed": "text"},
        feed("region", "$.params['region']"),
        feed("first", "$.items[0]"),
        feed("total", "$.total"),
        feed("updated_at", "$.lastUpdated"),
    )
    document = {"lastUpdated": "2026-01-02T03:04:05Z", "items": [{"sku": "a"}], "params": {"region": "Huế"}, "total": "12.50"}

    rows = compile_projection(spec).rows(document, ENVELOPE)

    assert rows.main == (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), '{"sku":"a"}', "Huế", Decimal("12.50"), None)
    assert (rows.children, rows.problems) == ({}, [])


@pytest.mark.requirement("trap-85")
@pytest.mark.parametrize(
    ("document", "policy", "expected", "problem"),
    [
        ({}, "null", None, None),
        ({}, "default", 7, None),
        ({}, "incident", None, "missing"),
        ({"n": None}, "null", None, None),
        ({"n": None}, "default", 7, None),
        ({"n": None}, "incident", None, "null"),
        ({"n": "x"}, "null", None, None),
        ({"n": "x"}, "default", 7, None),
        ({"n": "x"}, "incident", None, "the text is not an integer as JSON writes it"),
        ({"n": 0}, "incident", 0, None),
    ],
)
def test_missing_null_and_unfit_are_three_outcomes(
    document: dict[str, Any], policy: Policy, expected: Any, problem: str | None
) -> None:
    rows = compile_projection(table({"n": "integer"}, feed("n", "$.n", policy, policy, policy, default="7"))).rows(
        document, ENVELOPE
    )

    assert rows.main == (expected,)
    assert rows.problems == ([Problem("n", problem)] if problem else [])


def test_each_outcome_has_its_own_policy() -> None:
    projection = compile_projection(table({"n": "integer"}, feed("n", "$.n", "default", "incident", "null", default=7)))

    assert [projection.rows(document, ENVELOPE).main for document in ({}, {"n": None}, {"n": "x"})] == [(7,), (None,), (None,)]


@pytest.mark.requirement("trap-86")
def test_every_element_is_a_child_row_with_its_position() -> None:
    items = child({"sku": "text", "qty": "integer"}, feed("qty", "$.items[*].qty"), feed("sku", "$['items'].*['sku']"))
    projection = compile_projection(table({}, children=(items,)))
    document = {"items": [{"sku": "a", "qty": 1}, "no object", {"sku": None, "qty": "x"}, {"qty": "y"}]}

    rows = projection.rows(document, ENVELOPE)

    assert rows.children == {"case_plain_order_items": [(0, "a", 1), (1, None, None), (2, None, None), (3, None, None)]}
    assert rows.problems == [Problem("qty", "the text is not an integer as JSON writes it")]
    assert projection.children == {"case_plain_order_items": ("sku", "qty")}


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (None, []),
        ([], []),
        ("text", []),
        (5, []),
        ({"x": "a", "y": "b"}, [(0, "a"), (1, "b")]),
        (["a", "b"], [(0, "a"), (1, "b")]),
    ],
)
def test_elements_are_what_the_wildcard_selects(items: Any, expected: Any) -> None:
    spec = table({}, children=(child({"tag": "text"}, feed("tag", "$.items[*]")),))

    assert compile_projection(spec).rows({"items": items}, ENVELOPE).children["case_plain_order_items"] == expected


def test_too_many_elements_are_an_incident_and_no_rows() -> None:
    spec = table({}, children=(child({"tag": "text"}, feed("tag", "$.items[*]")),))

    rows = compile_projection(spec).rows({"items": ["x"] * (MAX_CHILD_ROWS + 1)}, ENVELOPE)

    assert rows.children == {"case_plain_order_items": []}
    assert [problem.column for problem in rows.problems] == ["case_plain_order_items"]


def test_many_values_are_one_list_in_jsonb_and_none_are_missing() -> None:
    projection = compile_projection(table({"skus": "jsonb"}, feed("skus", "$.items[?@.qty>1].sku", missing="incident")))

    assert projection.rows({"items": [{"qty": 2, "sku": "a"}, {"qty": 3, "sku": "b"}]}, ENVELOPE).main == ('["a","b"]',)
    assert projection.rows({"items": []}, ENVELOPE).problems == [Problem("skus", "missing")]


def test_a_path_that_takes_too_long_is_an_incident() -> None:
    projection = compile_projection(table({"all": "jsonb", "n": "integer"}, feed("all", "$.a[*]"), feed("n", "$.n")))

    rows = projection.rows({"a": [0] * 20_000, "n": 1}, ENVELOPE)

    assert rows.main == (None, 1)
    assert [problem.column for problem in rows.problems] == ["all"]


def test_sensitive_columns_are_protected_and_null_stays_null() -> None:
    sealed: list[tuple[Any, ...]] = []

    def seal(*said: Any) -> bytes:
        sealed.append(said)
        return b"sealed"

    columns = (
        ColumnSpec("card", "text", "mask"),
        ColumnSpec("mail", "text", "hash"),
        ColumnSpec("pay", "numeric(12,2)", "encrypt"),
    )
    spec = TableSpec("t", columns, {ORDER: tuple(feed(name, f"$.{name}") for name in ("card", "mail", "pay"))})
    projection = compile_projection(spec, Protection(b"k" * 32, seal))

    rows = projection.rows({"card": "4111111111111111", "mail": "a@b.c", "pay": 1.5}, ENVELOPE)

    assert rows.main[0] == "****1111"
    assert len(rows.main[1]) == 64
    assert rows.main[2] == b"sealed"
    assert sealed == [("acme", "subject-1", "case-1", 3, "pay", b"1.5")]
    assert projection.rows({}, ENVELOPE).main == (None, None, None)
    assert projection.rows({"mail": "a@b.c"}, ENVELOPE._replace(tenant="bravo")).main[1] != rows.main[1]


def test_a_class_without_feeds_has_a_row_of_nulls() -> None:
    projection = compile_projection(table({"n": "integer"}, feed("n", "$.n")))

    assert projection.classes == {ORDER}
    assert projection.rows({"n": 1}, ENVELOPE._replace(class_name="Other")).main == (None,)


def test_a_bad_spec_is_refused_with_all_problems_at_once() -> None:
    spec = TableSpec(
        "t",
        (ColumnSpec("a", "text"), ColumnSpec("b", "money"), ColumnSpec("c", "text", "hash"), ColumnSpec("d", "integer")),
        {
            ORDER: (
                feed("a", "$..a"),
                feed("b", "$.b"),
                feed("x", "$.x"),
                feed("d", "$.d", default="seven"),
                feed("a", "$.a[*]"),
            )
        },
        (child({"sku": "text"}, feed("sku", "$.others[*].sku"), feed("sku", "$.sku")),),
    )

    with pytest.raises(SpecRefused) as refused:
        compile_projection(spec)

    assert len(refused.value.problems) == 8


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(["a", "items", "n"]), inner, max_size=3)
    ),
)
EVERYTHING = compile_projection(
    table(
        {
            kind.partition("(")[0]: kind
            for kind in ("text", "integer", "bigint", "numeric(9,3)", "boolean", "date", "timestamptz", "uuid", "jsonb")
        },
        *(feed(kind, "$.a.items[0]") for kind in ("text", "integer", "bigint", "numeric")),
        *(feed(kind, "$.n") for kind in ("boolean", "date", "timestamptz", "uuid")),
        feed("jsonb", "$.items[?@.a==$.n,0:3]"),
        children=(child({"n": "numeric", "j": "jsonb"}, feed("n", "$.items[*].n"), feed("j", "$.items[*]")),),
    )
)


@given(st.dictionaries(st.sampled_from(["a", "items", "n"]), json_values))
def test_no_document_raises_and_the_same_document_gives_the_same_rows(document: dict[str, Any]) -> None:
    rows = EVERYTHING.rows(document, ENVELOPE)

    assert rows == EVERYTHING.rows(document, ENVELOPE)
    assert len(rows.main) == 9
    assert [row[0] for row in rows.children["case_plain_order_items"]] == list(
        range(len(rows.children["case_plain_order_items"]))
    )

"""What a spec becomes in SQL, as text: nothing but what was named, and nothing for a name that lint would refuse."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.cases.conversions import TypeRefused
from domain.cases.mapping.tables import ChildSpec, ColumnSpec, TableSpec
from projections import ddl

SPEC = TableSpec(
    "case_plain_order",
    (ColumnSpec("total", "numeric(12,2)", comment="it's $.total"), ColumnSpec("email", "text", "encrypt")),
    {"com.app.Order": ()},
    (ChildSpec("case_plain_order_items", "$.items", (ColumnSpec("sku", "text"),), {}),),
)


@pytest.mark.requirement("CD-12", "trap-87")
def test_the_statements_of_a_version_are_these() -> None:
    statements = ddl.create_statements(SPEC, 3)
    assert statements[0] == (
        'create table "projections"."case_plain_order__v3" (\n'
        '    "tenant_id" text not null,\n    "case_id" text not null,\n    "snapshot_version" bigint not null,\n'
        '    "subject_id" text not null,\n    "tombstone" text,\n    "total" numeric(12,2),\n    "email" bytea,\n'
        "    primary key (tenant_id, case_id)\n)"
    )
    assert """comment on column "projections"."case_plain_order__v3"."total" is E'it''s $.total'""" in statements
    assert not [line for line in statements if line.startswith(("drop", "alter"))]
    assert ddl.create_statements(SPEC, 3) == statements
    assert ddl.digest(statements) != ddl.digest(ddl.create_statements(SPEC, 4))


@pytest.mark.requirement("CD-12", "trap-87")
@pytest.mark.parametrize(
    "name",
    [
        "",
        "Total",
        "1st",
        "a b",
        'a"b',
        "select",
        "ctid",
        "xmin",
        "tenant_id",
        "snapshot_version",
        "x" * 64,
        "é",
        "a;b",
        "a--",
        "ﬁ",
        "email",
    ],
)
def test_a_name_that_lint_refuses_makes_no_statement_at_all(name: str) -> None:
    with pytest.raises(ValueError, match="column"):
        ddl.create_statements(replace(SPEC, columns=(*SPEC.columns, ColumnSpec(name, "text"))), 1)


@pytest.mark.requirement("CD-12", "trap-87")
@pytest.mark.parametrize("name", ["case_plain_x__v1", "x" * 60, "Users", "case_plain_order_items", ""])
def test_a_tables_name_too(name: str) -> None:
    with pytest.raises(ValueError, match="table"):
        ddl.create_statements(replace(SPEC, name=name), 1)


@pytest.mark.requirement("CD-12", "trap-87")
@pytest.mark.parametrize("kind", ["text; drop table users", "varchar(10)", "serial", "numeric(0,0)", "text[]", ""])
def test_a_type_outside_the_enum_makes_no_statement(kind: str) -> None:
    with pytest.raises(TypeRefused):
        ddl.create_statements(replace(SPEC, columns=(ColumnSpec("a", kind),)), 1)


@pytest.mark.requirement("trap-87")
@given(st.text(max_size=70))
def test_a_quoted_identifier_ends_where_it_should_or_is_refused(name: str) -> None:
    try:
        quoted = ddl.quote(name)
    except ValueError:
        assert not name or "\x00" in name or len(name.encode("utf-8", "surrogatepass")) > 63
        return
    assert quoted[0] == quoted[-1] == '"'
    assert quoted[1:-1].replace('""', "") == name.replace('"', "")
    assert quoted[1:-1].count('"') == 2 * name.count('"')


@pytest.mark.requirement("CD-12")
def test_a_view_is_replaced_only_where_its_columns_stay_in_front() -> None:
    old = [("a", "text"), ("b", "integer")]
    assert ddl.may_replace(old, old)
    assert ddl.may_replace(old, [*old, ("c", "text")])
    for new in ([("a", "text")], [("b", "integer"), ("a", "text")], [("a", "text"), ("b", "bigint")], [("c", "text"), *old]):
        assert not ddl.may_replace(old, new)
    main, items = ddl.views_of(SPEC, 3)
    assert main.statements(replace=True)[0].endswith('from "projections"."case_plain_order__v3" where tombstone is null')
    assert items.statements(replace=False)[0] == 'drop view if exists "analytics"."case_plain_order_items"'
    assert not [line for line in main.statements(replace=True) if line.startswith("drop")]

"""Which tables follow from the classes, and the spec that pins one."""

from dataclasses import replace

import pytest

from domain.cases.mapping.changes import changes
from domain.cases.mapping.files import read_directory
from domain.cases.mapping.graph import graph_of
from domain.cases.mapping.model import ClassDefinition, MappingEntry
from domain.cases.mapping.tables import TableSpec, table_specs
from domain.cases.mapping.widening import widest
from tests.unit.domain.cases.mapping.notation import graph

# The columns of the public incident event log, in its order.
INCIDENT_FIELDS = """
    number incident_state active reassignment_count reopen_count sys_mod_count made_sla caller_id opened_by opened_at
    sys_created_by sys_created_at sys_updated_by sys_updated_at contact_type location category subcategory u_symptom cmdb_ci
    impact urgency priority assignment_group assigned_to knowledge u_priority_confirmation notify problem_id rfc vendor
    caused_by closed_code resolved_by resolved_at closed_at
""".split()
CORE = "class_name created_at created_by updated_at updated_by".split()
OF_WORK_OBJECTS = "case_instance_id business_key state".split()


def delivered() -> dict[str, TableSpec]:
    specs, problems = table_specs(graph_of(read_directory()[0])[0])
    assert problems == []
    return {spec.name: spec for spec in specs}


def tables(classes: dict[str, ClassDefinition], *exposed: str) -> tuple[dict[str, TableSpec], list[str]]:
    """Specs by name and codes of findings; the columns named are exposed wherever they are mapped."""
    given = {
        name: replace(found, mappings=tuple(replace(entry, exposed=entry.column in exposed) for entry in found.mappings))
        for name, found in classes.items()
    }
    specs, problems = table_specs(given)
    return {spec.name: spec for spec in specs}, [problem.code for problem in problems]


def names(spec: TableSpec) -> list[str]:
    return [column.name for column in spec.columns]


@pytest.mark.requirement("CD-1", "CD-5")
def test_every_table_has_the_columns_of_the_class_tree_without_being_asked() -> None:
    specs = delivered()
    cases = {"case_plain_incident", "case_plain_order_case", "case_work"}
    journeys = {"case_plain_card_onboarding", "case_plain_customer_onboarding", "case_plain_loan_application"}
    assert set(specs) == cases | journeys, "mixins and abstract classes have none"
    for spec in specs.values():
        assert names(spec)[:8] == CORE + OF_WORK_OBJECTS


@pytest.mark.requirement("CD-1")
def test_a_process_has_the_columns_of_process_objects() -> None:
    core = graph_of(read_directory()[0])[0]
    process = graph("com.app.Approval < ProcessObject { }")
    specs, problems = table_specs({**core, **process})
    assert problems == []
    found = next(spec for spec in specs if spec.name == "case_plain_approval")
    assert names(found) == [*CORE, "process_instance_id", "process_definition_id", "parent_instance_id"]


@pytest.mark.requirement("CD-4")
def test_the_incident_maps_all_36_fields_through_mixin_parent_and_override() -> None:
    feeds = delivered()["case_plain_incident"].feeds["com.app.Incident"]
    assert len(INCIDENT_FIELDS) == 36
    assert {f"$.{name}" for name in INCIDENT_FIELDS} <= {feed.path for feed in feeds}
    said_by = {feed.column: feed.provenance.source_class for feed in feeds}
    assert (said_by["sys_mod_count"], said_by["number"], said_by["priority"], said_by["state"]) == (
        "com.app.LogAudit",
        "com.app.ServiceCase",
        "com.app.Incident",
        "WorkObject",
    )


@pytest.mark.requirement("CD-3", "CD-4", "trap-86")
def test_lists_make_child_rows_and_maps_and_first_items_make_columns() -> None:
    orders = delivered()["case_plain_order_case"]
    (items,) = orders.children
    assert (items.name, items.prefix) == ("case_plain_order_case_items", "$.items")
    assert [column.name for column in items.columns] == ["sku", "quantity", "unit_price"]
    assert {"first_sku", "region"} <= set(names(orders))
    assert {"order_total", "region", "incident_state"} <= set(names(delivered()["case_work"]))
    assert "customer_name" not in names(delivered()["case_work"])


@pytest.mark.requirement("CD-3")
def test_the_work_table_has_every_class_also_one_that_exposes_nothing() -> None:
    specs, codes = tables(graph("A { x: $.x; y: $.y } B { z: $.z }"), "x")
    assert codes == []
    work = specs["case_work"]
    assert names(work) == ["x"]
    assert {name: [feed.column for feed in feeds] for name, feeds in work.feeds.items()} == {"A": ["x"], "B": []}


@pytest.mark.requirement("CD-3", "CD-8")
def test_an_exposed_column_has_the_widest_of_the_classes_types_or_none() -> None:
    specs, codes = tables(graph("A { x: $.x integer } B { x: $.x bigint }"), "x")
    assert (codes, [column.type for column in specs["case_work"].columns]) == ([], ["bigint"])
    specs, codes = tables(graph("A { x: $.x integer } B { x: $.x date }"), "x")
    assert (codes, names(specs["case_work"])) == (["type-conflict"], [])
    assert specs["case_work"].feeds == {"A": (), "B": ()}
    assert widest(["bigint", "numeric(12,2)"]) is None, "no type is invented"


@pytest.mark.requirement("CD-3")
def test_an_exposed_column_is_as_sensitive_as_the_strictest_class_says() -> None:
    classes = graph("A { x: $.x } B { x: $.x }")
    masked = replace(classes["B"].mappings[0], sensitivity="mask")
    specs, codes = tables({**classes, "B": replace(classes["B"], mappings=(masked,))}, "x")
    assert (codes, specs["case_work"].columns[0].sensitivity) == (["sensitivity-differs"], "mask")


def test_a_table_has_the_rows_of_exactly_its_class() -> None:
    specs, _ = tables(graph("A { x: $.x } B < A { }"))
    assert {name: set(spec.feeds) for name, spec in specs.items()} == {
        "case_plain_a": {"A"},
        "case_plain_b": {"B"},
        "case_work": {"A", "B"},
    }


@pytest.mark.requirement("trap-87")
@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("com.a.Order { } com.b.Order { }", None),
        ("Order { sku: $.items[*].sku } OrderItems { }", None),
        ("Order { a: $.x.items[*].a; b: $.y.items[*].b }", None),
        (f"A{'b' * 60} {{ }}", None),
        ("Order { }", "x__v3"),
        ("Order { }", 'x"; drop table users; --'),
    ],
)
def test_names_of_tables_that_are_taken_too_long_or_no_names_are_refused(text: str, table: str | None) -> None:
    classes = graph(text)
    given = {name: replace(found, table=table) for name, found in classes.items()} if table else classes
    specs, codes = tables(given)
    assert codes == ["table-name"]
    tables_of = [name for spec in specs.values() for name in (spec.name, *(child.name for child in spec.children))]
    assert len(tables_of) == len(set(tables_of))


def test_a_child_table_may_be_named_once_for_its_list() -> None:
    classes = graph("Order { a: $.x.items[*].a; b: $.y.items[*].b; c: $.y.items[*].c }")
    a, b, c = classes["Order"].mappings

    def named(*mappings: MappingEntry) -> tuple[dict[str, TableSpec], list[str]]:
        return tables({"Order": replace(classes["Order"], mappings=mappings)})

    specs, codes = named(a, replace(b, child_table="lines"), c)
    assert (codes, [child.name for child in specs["case_plain_order"].children]) == (
        [],
        ["case_plain_order_items", "case_plain_order_lines"],
    )
    assert named(a, replace(b, child_table="lines"), replace(c, child_table="rows"))[1] == ["child-table"]


def test_too_many_columns_are_refused() -> None:
    body = "; ".join(f"c{at}: $.c{at}" for at in range(11))
    problems = table_specs(graph(f"A {{ {body} }}"), max_columns=10)[1]
    assert [problem.code for problem in problems] == ["too-many-columns"]
    assert "has 11" in problems[0].message or "11 mapped columns" in problems[0].message


def test_a_spec_survives_json_and_its_fingerprint_knows_what_decides_the_rows() -> None:
    for spec in delivered().values():
        assert TableSpec.from_json(spec.to_json()) == spec
    spec = delivered()["case_plain_order_case"]
    again = TableSpec.from_json(spec.to_json())
    quiet = replace(again, columns=tuple(replace(column, comment="moved") for column in reversed(again.columns)))
    assert quiet.fingerprint() == spec.fingerprint()
    column = spec.columns[8]
    feeds = {"com.app.OrderCase": tuple(replace(feed, on_null="incident") for feed in spec.feeds["com.app.OrderCase"])}
    altered = [
        replace(spec, columns=(replace(column, type="text"), *spec.columns[1:])),
        replace(spec, columns=(replace(spec.columns[0], sensitivity="hash"), *spec.columns[1:])),
        replace(spec, feeds=feeds),
        replace(spec, children=()),
        replace(spec, name="other"),
    ]
    assert len({spec.fingerprint(), *(other.fingerprint() for other in altered)}) == 6


@pytest.mark.requirement("CD-12")
def test_a_difference_is_told_by_table_and_column_and_equal_tables_have_none() -> None:
    before = tables(graph("A { x: $.x integer; y: $.y; l: $.l[*].v } B { }"))[0].values()
    after = tables(graph("A { x: $.x bigint; z: $.z; l: $.l[*].w } C { }"))[0].values()
    told = [(change.table, change.column, change.kind) for change in changes(before, after)]
    assert told == [
        ("case_plain_a", "x", "changed"),
        ("case_plain_a", "z", "added"),
        ("case_plain_a", "y", "removed"),
        ("case_plain_a_l", "l", "changed"),
        ("case_plain_b", None, "removed"),
        ("case_plain_c", None, "added"),
    ]
    assert changes(before, before) == []

"""What two rows of one key mean, and which columns of two versions must be equal: as tables."""

from dataclasses import replace

import pytest

from domain.cases.mapping.model import Provenance
from domain.cases.mapping.tables import ChildSpec, ColumnSpec, Feed, TableSpec
from projections.rebuild.comparing import children_statement, pairs_statement, sums_statement
from projections.rebuild.shapes import common_of, shape_of_builtin, shape_of_spec
from projections.rebuild.verdicts import Pair, Place, Sums, judge, unequal_parts

HERE = Provenance("com.app.OrderCase", "file", "orders", "orders.yaml:1")


def pair(old: int | None, new: int | None, **more: object) -> Pair:
    return Pair("acme", "c1", old, new, **more)  # type: ignore[arg-type]


V5 = {Place("acme", "c1", 5)}
RULES = [
    # old, new, events after E -> the reason's gist, or None where no difference is seen
    ("other values at one version", pair(4, 4, columns=("total",)), V5, "other values"),
    ("a tombstone on one side", pair(4, 4, old_tombstone="removed"), V5, "tombstone in one version"),
    ("an erasure on its way", pair(4, 4, new_tombstone="erased"), V5, "erasure is on its way"),
    ("old behind, newer after E", pair(4, 5), V5, None),
    ("new behind, newer after E", pair(5, 4), V5, None),
    ("old behind, newer before E", pair(4, 5), set(), "old version stands at an older"),
    ("new behind, newer before E", pair(5, 4), set(), "new version stands at an older"),
    ("missing in new, newer after E", pair(5, None), V5, None),
    ("missing in old, newer after E", pair(None, 5), V5, None),
    ("missing in new, before E", pair(5, None), set(), "new version has no row"),
    ("missing in old, before E", pair(None, 5), set(), "old version has no row"),
    ("another version of the case is after E", pair(3, 4), V5, "older snapshot"),
    ("another case is after E", pair(4, 5), {Place("acme", "c2", 5)}, "older snapshot"),
    ("another tenant's case is after E", pair(4, 5), {Place("other", "c1", 5)}, "older snapshot"),
]


@pytest.mark.requirement("CD-13", "trap-85")
@pytest.mark.hole("parity-by-ends")
@pytest.mark.parametrize(("_", "found", "after", "said"), RULES, ids=[rule[0] for rule in RULES])
def test_only_what_is_newer_behind_the_ends_may_differ(_: str, found: Pair, after: set[Place], said: str | None) -> None:
    difference = judge(found, after)
    if said is None:
        assert difference is None
    else:
        assert difference is not None
        assert said in difference.reason


def test_sums_are_compared_part_by_part_and_an_empty_part_is_no_difference() -> None:
    old, new = {0: Sums(2, "7"), 1: Sums(0, "0")}, {0: Sums(2, "7"), 2: Sums(1, "9")}
    assert unequal_parts(old, new) == [2]


def feed(column: str, path: str) -> Feed:
    return Feed(column, path, "null", "null", "incident", None, HERE)


ORDER, CLAIM = "com.app.OrderCase", "com.app.ClaimCase"
WORK = TableSpec(
    "case_work",
    (ColumnSpec("class_name", "text"), ColumnSpec("total", "numeric(12,2)"), ColumnSpec("region", "text", "mask")),
    {
        name: (feed("class_name", "$.className"), feed("total", "$.total"), feed("region", "$.region"))
        for name in (ORDER, CLAIM)
    },
    (ChildSpec("case_work_items", "$.items", (ColumnSpec("sku", "text"),), {ORDER: (feed("sku", "$.items[*].sku"),)}),),
)


def test_the_same_mapping_elsewhere_in_a_file_is_the_same_mapping() -> None:
    moved = replace(
        WORK,
        feeds={
            name: tuple(replace(one, provenance=replace(HERE, source_location="x:9")) for one in feeds)
            for name, feeds in WORK.feeds.items()
        },
    )
    common = common_of(shape_of_spec(WORK, 1), shape_of_spec(moved, 2))
    assert common.columns == {"class_name": None, "total": None, "region": None}
    assert common.children == {"case_work_items": {"sku": None}}
    assert common.left_out == {}


def test_a_mapping_changed_for_one_class_is_compared_in_the_rows_of_the_others() -> None:
    changed = replace(WORK, feeds={**WORK.feeds, CLAIM: (feed("class_name", "$.className"), feed("total", "$.sum"))})
    common = common_of(shape_of_spec(WORK, 1), shape_of_spec(changed, 2))
    assert common.columns == {"class_name": None, "total": {ORDER}, "region": {ORDER}}
    statement = pairs_statement(shape_of_spec(WORK, 1), shape_of_spec(changed, 2), common)
    assert f"coalesce(a.\"class_name\" in (E'{ORDER}'), false)" in statement


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ((ColumnSpec("class_name", "text"), ColumnSpec("total", "text"), ColumnSpec("region", "text", "mask")), "total"),
        ((ColumnSpec("class_name", "text"), ColumnSpec("total", "numeric(12,2)"), ColumnSpec("region", "text")), "region"),
        ((ColumnSpec("class_name", "text"), ColumnSpec("total", "numeric(12,2)")), "region"),
    ],
)
def test_another_type_or_sensitivity_or_no_column_is_left_out_and_said(columns: tuple[ColumnSpec, ...], said: str) -> None:
    common = common_of(shape_of_spec(WORK, 1), shape_of_spec(replace(WORK, columns=columns), 2))
    assert set(common.left_out) == {said}


def test_a_class_that_only_one_version_has_takes_its_rows_out_of_the_comparison() -> None:
    alone = replace(WORK, feeds={ORDER: WORK.feeds[ORDER]})
    common = common_of(shape_of_spec(alone, 1), shape_of_spec(WORK, 2))
    assert (common.classes, common.all_rows) == (frozenset({ORDER}), False)
    assert common.columns == {"class_name": None, "total": None, "region": None}
    assert "is null or coalesce" in pairs_statement(shape_of_spec(alone, 1), shape_of_spec(WORK, 2), common)


def test_a_built_in_table_is_compared_in_all_its_columns() -> None:
    columns = {"tenant_id": "text", "work_item_id": "text", "status": "text", "ce_sequence": "bigint"}
    old, new = shape_of_builtin("work_item_board", 1, columns), shape_of_builtin("work_item_board", 2, columns)
    common = common_of(old, new)
    assert common.columns == {"status": None}
    assert '"work_item_board__v2"' in pairs_statement(old, new, common)


def test_names_that_would_break_out_of_their_quotes_do_not() -> None:
    hostile = replace(WORK, columns=(ColumnSpec('a"; drop table tenants; --', "text"),), feeds={ORDER: ()}, children=())
    old, new = shape_of_spec(hostile, 1), shape_of_spec(hostile, 2)
    common = common_of(old, new)
    for statement in (pairs_statement(old, new, common), sums_statement(old, common)):
        assert 'a""; drop table tenants; --' in statement
        assert 'a"; drop' not in statement.replace("E'a\"; drop", "")


def test_child_tables_of_both_versions_are_compared_by_position() -> None:
    old, new = shape_of_spec(WORK, 1), shape_of_spec(WORK, 2)
    statement = children_statement("case_work_items", old, new, common_of(old, new))
    assert '"case_work_items__v1"' in statement
    assert "a.position = b.position" in statement

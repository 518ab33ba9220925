"""Everything that lint finds, each with its place; and which definition of a class counts."""

from dataclasses import replace
from pathlib import Path

import pytest

from domain.cases.mapping.files import read_directory, read_text
from domain.cases.mapping.graph import graph_of, overlay
from domain.cases.mapping.lint import errors, lint
from domain.cases.mapping.model import ClassDefinition, Diagnostic, Provenance, StoredDefinition
from domain.cases.mapping.names import MAX_TABLE_BYTES, column_problem, snake_case, table_problem
from domain.cases.mapping.tables import MAX_COLUMNS
from runtime.cli import main
from runtime.settings.model import MappingSettings
from tests.unit.domain.cases.mapping.notation import graph

DELIVERED = graph_of(read_directory()[0])[0]


def findings(*files: str, max_columns: int = 500) -> list[Diagnostic]:
    """The findings of files that are added to the delivered classes."""
    definitions, problems = list(DELIVERED.values()), []
    for number, text in enumerate(files, start=1):
        found, refused = read_text(text, f"f{number}.yaml")
        definitions += found
        problems += refused
    classes, twice = graph_of(definitions)
    return [*problems, *twice, *lint(classes, max_columns=max_columns)]


def one_class(*mappings: str, name: str = "com.app.A") -> str:
    lines = "".join(f"      - {{{mapping}}}\n" for mapping in mappings)
    head = f"module: shop\nclasses:\n  - className: {name}\n    parent: WorkObject\n"
    return f"{head}    mappings:\n{lines}" if mappings else head


@pytest.mark.requirement("CD-11")
@pytest.mark.parametrize(
    ("mapping", "code"),
    [
        ("plainColumn: 9x, jsonPath: $.x", "column-name"),
        ("plainColumn: 'x\"; drop table users; --', jsonPath: $.x", "column-name"),
        ("plainColumn: select, jsonPath: $.x", "column-name"),
        ("plainColumn: xmin, jsonPath: $.x", "column-name"),
        ("plainColumn: Tenant_Id, jsonPath: $.x", "column-name"),
        (f"plainColumn: {'x' * 64}, jsonPath: $.x", "column-name"),
        ("plainColumn: x, jsonPath: x", "path"),
        ("plainColumn: x, jsonPath: $..x", "path"),
        ("plainColumn: x, jsonPath: '$.a[*].b[*].c'", "two-lists"),
        ("plainColumn: x, jsonPath: '$.a[0:2]'", "many-values"),
        ("plainColumn: x, jsonPath: '$.a[*].b', exposed: true", "exposed-list"),
        ("plainColumn: x, jsonPath: $.a, childTable: y", "child-table"),
        ("plainColumn: x, jsonPath: $.a, indexed: false", "goes-nowhere"),
        ("plainColumn: x, jsonPath: $.a, type: 'numeric(5,9)'", "type"),
        ("plainColumn: x, jsonPath: $.a, type: integer, onNull: default, default: many", "default-unfit"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused_with_its_line(mapping: str, code: str) -> None:
    found = findings(one_class("plainColumn: good, jsonPath: $.good", mapping))
    assert [(problem.code, problem.location, problem.severity) for problem in found] == [(code, "f1.yaml:7", "error")]


def test_all_problems_are_told_at_once_in_the_order_of_the_lines() -> None:
    found = findings(
        one_class("plainColumn: 9x, jsonPath: $.x", "plainColumn: ok, jsonPath: $..x", "plainColumn: xmin, jsonPath: x")
    )
    assert [(problem.code, problem.location) for problem in found] == [
        ("column-name", "f1.yaml:6"),
        ("path", "f1.yaml:7"),
        ("column-name", "f1.yaml:8"),
        ("path", "f1.yaml:8"),
    ]


def test_a_list_may_go_to_jsonb_also_by_an_inherited_type() -> None:
    assert findings(one_class("plainColumn: x, jsonPath: '$.a[0:2]', type: jsonb")) == []
    child = "  - {className: com.app.B, parent: com.app.A, mappings: [{plainColumn: x, jsonPath: '$.a[1:]'}]}\n"
    assert findings(one_class("plainColumn: x, jsonPath: $.a, type: jsonb") + child) == []


@pytest.mark.requirement("trap-87")
def test_two_names_that_sql_takes_for_one_are_refused() -> None:
    found = findings(one_class("plainColumn: Total, jsonPath: $.a", "plainColumn: TOTAL, jsonPath: $.b"))
    assert [(problem.code, problem.location) for problem in found] == [("column-twice", "f1.yaml:7")]


@pytest.mark.requirement("CD-11")
def test_the_same_class_in_two_modules_is_a_warning_with_both_provenances() -> None:
    other = one_class("plainColumn: y, jsonPath: $.y").replace("module: shop", "module: store")
    found = findings(one_class("plainColumn: x, jsonPath: $.x"), other)
    assert [(problem.code, problem.severity, problem.location) for problem in found] == [
        ("class-of-two-modules", "warning", "f2.yaml:3")
    ]
    assert "f1.yaml:3, module shop" in found[0].message
    assert "f2.yaml:3, module store" in found[0].message
    assert [problem.code for problem in findings(one_class(), one_class())][:1] == ["class-twice"]


@pytest.mark.requirement("CD-11")
def test_a_column_of_two_modules_is_a_warning_with_both_provenances() -> None:
    found = findings(one_class("plainColumn: STATE, jsonPath: $.ownState, exposed: true"))
    assert [(problem.code, problem.severity) for problem in found] == [("column-of-two-modules", "warning")]
    assert "module shop" in found[0].message
    assert "definitions/cases/core.yaml" in found[0].message


@pytest.mark.requirement("CD-11")
def test_core_knows_no_domain_class() -> None:
    domain = "module: shop\nclasses:\n  - {className: com.app.M, isMixin: true}\n"
    for text in (
        "module: core\nclasses:\n  - {className: com.app.X, parent: WorkObject}\n",
        "module: core\nclasses:\n  - {className: Special, parent: WorkObject, mixins: [com.app.M]}\n",
    ):
        found = findings(text, domain)
        assert [(problem.code, problem.severity, problem.location) for problem in found] == [
            ("core-exposes-domain-class", "error", "f1.yaml:3")
        ]


@pytest.mark.requirement("CD-1")
def test_a_class_outside_the_tree_is_refused_and_a_confusion_of_mixin_and_class_pointed_out() -> None:
    head = "module: shop\nclasses:\n"
    assert [problem.code for problem in findings(head + "  - className: com.app.A\n")] == ["outside-the-tree"]
    mixed = head + (
        "  - {className: com.app.B, parent: WorkObject}\n"
        "  - {className: com.app.A, parent: WorkObject, mixins: [com.app.B, com.app.B]}\n"
    )
    assert [problem.code for problem in findings(mixed)] == ["mixin-not-marked", "mixin-twice"]
    child = (
        head + "  - {className: com.app.M, isMixin: true, parent: WorkObject}\n  - {className: com.app.A, parent: com.app.M}\n"
    )
    assert [problem.code for problem in findings(child)] == ["parent-is-mixin"]


def test_the_number_of_columns_is_a_setting() -> None:
    assert [problem.code for problem in findings(one_class(), max_columns=20)] == ["too-many-columns"], (
        "the incidents have more"
    )
    assert findings(one_class()) == []


@pytest.mark.requirement("CD-11", "CD-15")
def test_strict_lint_fails_on_errors_and_never_on_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def lint_exit(text: str, *options: str) -> int:
        (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(SystemExit) as left:
            main(["mapping", "lint", "--definitions", str(tmp_path), *options])
        return int(str(left.value.code))

    tree = "module: core\nclasses:\n  - {className: FlowableObject, abstract: true}\n"
    wrong = tree + "  - {className: A, parent: B}\n"
    assert (lint_exit(wrong), lint_exit(wrong, "--strict"), lint_exit(tree, "--strict")) == (0, 1, 0)
    warned = tree + "  - {className: A, parent: FlowableObject, mappings: [{plainColumn: x, remove: true}]}\n"
    assert lint_exit(warned, "--strict", "--output", "json") == 0
    assert '"code": "removes-nothing"' in capsys.readouterr().out
    two = "[{plainColumn: x, jsonPath: $.x}, {plainColumn: y, jsonPath: $.y}]"
    wide = f"{tree}  - {{className: A, parent: FlowableObject, mappings: {two}}}\n"
    assert (lint_exit(wide, "--strict"), lint_exit(wide, "--strict", "--max-columns", "1")) == (0, 1)


def test_the_settings_limit_of_columns_is_that_of_the_rules() -> None:
    assert MappingSettings().max_columns == MAX_COLUMNS


@pytest.mark.requirement("CD-10")
def test_resolve_and_explain_show_the_four_words_of_provenance(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["resolve", "com.app.Incident"], ["explain", "com.app.Incident", "PRIORITY"]):
        with pytest.raises(SystemExit) as left:
            main(["mapping", *words, "--output", "json"])
        said = capsys.readouterr().out
        assert left.value.code == 0
        for word in ("sourceClass", "sourceKind", "sourceModule", "sourceLocation"):
            assert f'"{word}"' in said
    assert '"verdict": "replaced"' in said


@pytest.mark.requirement("CD-6", "trap-81")
def test_the_newest_enabled_row_replaces_the_whole_class_and_the_file_counts_again_without_one() -> None:
    files = graph("P { x: $.file; y: $.file } C < P { }")

    def row(version: int, path: str, *, enabled: bool) -> StoredDefinition:
        definition = graph(f"P {{ x: {path} }}")["P"]
        return StoredDefinition(
            replace(definition, source=Provenance("P", "db", "demo", f"version {version}")), version, enabled
        )

    def x_and_columns(*rows: StoredDefinition) -> tuple[str | None, list[str]]:
        found: ClassDefinition = overlay(files, rows)["P"]
        return found.mappings[0].json_path, [entry.column for entry in found.mappings]

    older, newer = row(1, "$.older", enabled=True), row(2, "$.newer", enabled=True)
    assert x_and_columns() == ("$.file", ["x", "y"])
    assert x_and_columns(newer, older) == ("$.newer", ["x"]), "whole: y of the file is gone"
    assert x_and_columns(older, row(2, "$.newer", enabled=False)) == ("$.older", ["x"])
    assert x_and_columns(row(1, "$.older", enabled=False)) == ("$.file", ["x", "y"])
    assert overlay(files, [row(1, "$.db", enabled=True)])["C"] is files["C"]


@pytest.mark.requirement("trap-87")
def test_names_are_folded_and_never_cut() -> None:
    assert column_problem("ＣＯＬ") is None, "full-width letters are plain ones"
    assert column_problem("ſtate") is None
    assert column_problem("größe") is not None
    assert column_problem("") == "is empty"
    assert column_problem("x" * 63) is None
    assert table_problem("x" * MAX_TABLE_BYTES) is None
    assert table_problem("x" * (MAX_TABLE_BYTES + 1)) is not None
    assert len(f"{'x' * MAX_TABLE_BYTES}__v99999") == 63
    assert table_problem("orders__v2") is not None
    assert table_problem("orders__v2_items") is not None
    assert [snake_case(name) for name in ("com.app.OrderCase", "HTTPCall", "x.Order2Case", "order")] == [
        "order_case",
        "http_call",
        "order2_case",
        "order",
    ]


def test_errors_are_what_forbids_building() -> None:
    assert [problem.severity for problem in errors(findings(one_class("plainColumn: 9x, jsonPath: $.x")))] == ["error"]

"""How a class inherits: the tests that the case document asks for by name, and the cases it leaves open."""

import time

import pytest

from domain.cases.mapping.lint import lint
from domain.cases.mapping.model import Diagnostic, ResolvedClass
from domain.cases.mapping.resolve import resolve
from tests.unit.domain.cases.mapping.notation import graph


def paths(text: str, class_name: str = "C") -> dict[str, str | None]:
    """Column -> path of a class that resolves without findings."""
    resolved, problems = resolve(graph(text), class_name)
    assert problems == []
    return {column.name: column.entry.json_path for column in resolved.columns}


def found(text: str, class_name: str = "C") -> tuple[ResolvedClass, list[Diagnostic]]:
    return resolve(graph(text), class_name)


def codes(text: str, class_name: str = "C") -> list[str]:
    return [problem.code for problem in found(text, class_name)[1]]


@pytest.mark.requirement("CD-15", "CD-6")
def test_child_override() -> None:
    assert paths("P { x: $.p } A { x: $.a } C < P + A { x: $.c }") == {"x": "$.c"}


@pytest.mark.requirement("CD-15", "CD-6")
def test_mixin_order_last_wins() -> None:
    assert paths("P { } A { x: $.a } B { x: $.b } C < P + A, B { }") == {"x": "$.b"}
    assert paths("P { } A { x: $.a } B { x: $.b } C < P + B, A { }") == {"x": "$.a"}


@pytest.mark.requirement("CD-6")
def test_the_document_s_own_example() -> None:
    text = "W { t: $.w; s: $.w } A { s: $.a; t: $.a } B { s: $.b; t: $.b } C < W + A, B { t: $.c }"
    assert paths(text) == {"t": "$.c", "s": "$.b"}
    assert found(text)[0].ancestry == ("C", "B", "A", "W")


@pytest.mark.requirement("CD-6")
def test_a_mixin_wins_over_the_parent_and_a_near_parent_over_a_far_one() -> None:
    assert paths("P { x: $.p } A { x: $.a } C < P + A { }") == {"x": "$.a"}
    assert paths("G { x: $.g } P < G { x: $.p } C < P { }") == {"x": "$.p"}


@pytest.mark.requirement("CD-15", "CD-7", "trap-83")
def test_remove_semantics() -> None:
    assert paths("P { x: $.p; y: $.y } C < P { x: remove }") == {"y": "$.y"}
    # More specific wins, whichever of the two words it says.
    assert paths("P { x: $.p } M { x: remove } C < P + M { x: $.c }") == {"x": "$.c"}
    assert paths("G { x: $.g } P < G { x: remove } C < P { x: $.c }") == {"x": "$.c"}
    assert paths("P { } A { x: $.a } B { x: remove } C < P + A, B { }") == {}
    assert paths("P { } A { x: remove } B { x: $.b } C < P + A, B { }") == {"x": "$.b"}


@pytest.mark.requirement("CD-7")
def test_removing_what_nothing_maps_is_pointed_out() -> None:
    assert codes("P { } C < P { x: remove }") == ["removes-nothing"]
    assert codes("P { } M { x: remove } C < P + M { }") == [], "a mixin does not know what it is mixed into"


@pytest.mark.requirement("CD-15", "CD-9")
@pytest.mark.parametrize(
    "text",
    [
        "C < C { }",
        "C + C { }",
        "P < C { x: $.p } C < P { }",
        "A + B { } B + A { } C + A { }",
        "M < C { } P + M { } C < P { }",
        "A < B { } B < D { } D < A { } C + A { }",
    ],
)
def test_cycle_detection(text: str) -> None:
    resolved, problems = found(text)
    assert [problem.code for problem in problems] == ["cycle"]
    assert resolved.columns == ()
    assert problems[0].location.startswith("text:")


@pytest.mark.requirement("CD-9")
def test_each_circle_is_told_once_wherever_one_begins_and_the_others_resolve() -> None:
    text = "A < B { } B < A { } D < E { } E < D { } C < A { } F + D { } G { x: $.g }"
    circles = [problem.message.split(" is ")[0] for problem in lint(graph(text)) if problem.code == "cycle"]
    assert circles == ["A > B > A", "D > E > D"]
    assert paths(text, "G") == {"x": "$.g"}


@pytest.mark.requirement("CD-9")
def test_long_chains_and_large_circles_need_no_recursion() -> None:
    chain = " ".join(f"C{at} < C{at + 1} {{ }}" for at in range(5_000))
    assert paths(f"{chain} C5000 {{ x: $.x }}", "C0") == {"x": "$.x"}
    assert codes(f"{chain} C5000 < C0 {{ }}", "C0") == ["cycle"]
    mixed = " ".join(f"C{at} + C{at + 1} {{ }}" for at in range(5_000))
    assert paths(f"{mixed} C5000 {{ x: $.x }}", "C0") == {"x": "$.x"}


@pytest.mark.requirement("CD-15", "CD-8")
@pytest.mark.parametrize(
    ("below", "above", "conflict"),
    [
        ("integer", "integer", False),
        ("integer", "bigint", False),
        ("integer", "numeric(10,0)", False),
        ("integer", "numeric(9,0)", True),
        ("bigint", "integer", True),
        ("bigint", "numeric(19,0)", False),
        ("bigint", "numeric(20,2)", True),
        ("numeric(12,2)", "numeric(14,4)", False),
        ("numeric(12,2)", "numeric(12,4)", True),
        ("numeric(12,2)", "numeric(14,1)", True),
        ("numeric(12,2)", "numeric", False),
        ("numeric", "numeric(12,2)", True),
        ("integer", "text", True),
        ("text", "integer", True),
        ("date", "timestamptz", True),
        ("uuid", "text", True),
        ("jsonb", "text", True),
    ],
)
def test_type_conflict(below: str, above: str, conflict: bool) -> None:
    text = f"P {{ x: $.p {below} }} C < P {{ x: $.c {above} }}"
    assert codes(text) == (["type-conflict"] if conflict else [])
    assert [column.entry.type for column in found(text)[0].columns] == [above]


@pytest.mark.requirement("CD-8", "CD-10")
def test_a_type_conflict_names_both_sides_with_their_places() -> None:
    problem = found("P { x: $.p integer } C < P { x: $.c date }")[1][0]
    assert (problem.severity, problem.class_name, problem.column, problem.location) == ("error", "C", "x", "text:2")
    assert "x is date in C (file text:2, module demo) and integer in P (file text:1, module demo)" in problem.message


@pytest.mark.requirement("CD-8")
def test_a_conflict_is_told_of_the_class_that_has_it_and_not_again_of_its_children() -> None:
    text = "P { x: $.p integer } C < P { x: $.c date } D < C { } E < D { x: $.e date }"
    conflicts = [problem for problem in lint(graph(text)) if problem.code == "type-conflict"]
    assert [(problem.class_name, problem.location) for problem in conflicts] == [("C", "text:2")]


@pytest.mark.requirement("CD-7", "CD-8")
def test_behind_a_remove_a_column_may_come_back_with_another_type() -> None:
    assert codes("P { x: $.p integer } M { x: remove } C < P + M { x: $.c date }") == []


@pytest.mark.requirement("CD-6", "CD-10", "trap-82")
def test_the_same_column_at_four_levels_is_the_most_specific_one_with_its_provenance() -> None:
    text = "G { x: $.g integer } P < G { x: $.p } M { x: $.m } C < P + M { x: $.c }"
    for class_name, path, number in (("C", "$.c", 4), ("P", "$.p", 2), ("G", "$.g", 1)):
        column = found(text, class_name)[0].columns[0]
        assert (column.entry.json_path, column.entry.type) == (path, "integer")
        assert (column.provenance.source_class, column.provenance.source_kind) == (class_name, "file")
        assert (column.provenance.source_module, column.provenance.source_location) == ("demo", f"text:{number}")


@pytest.mark.requirement("trap-82")
def test_mixins_of_mixins_and_parents_of_mixins_stand_behind_the_mixin_and_before_the_parent() -> None:
    text = "Q { q: $.q; p: $.q } N { n: $.n; q: $.n } M < Q + N { } P { p: $.p; n: $.p } C < P + M { }"
    assert found(text)[0].ancestry == ("C", "M", "N", "Q", "P")
    assert paths(text) == {"p": "$.q", "n": "$.n", "q": "$.n"}


@pytest.mark.requirement("trap-82")
def test_a_mixin_that_extends_an_ancestor_does_not_lift_it_over_what_lies_between() -> None:
    text = "G { x: $.g } P < G { x: $.p } M < G { } C < P + M { }"
    assert found(text)[0].ancestry == ("C", "M", "P", "G")
    assert paths(text) == {"x": "$.p"}


@pytest.mark.requirement("trap-82")
def test_a_mixin_named_again_counts_where_the_more_specific_class_names_it() -> None:
    assert paths("A { x: $.a } G { } P < G + A { x: $.p } C < P + A { }") == {"x": "$.a"}


@pytest.mark.requirement("trap-82")
def test_in_a_diamond_of_mixins_the_last_one_wins_with_all_that_it_brings() -> None:
    text = "D { x: $.d; y: $.d } A + D { x: $.a } B + D { y: $.b } G { } C < G + A, B { }"
    assert found(text)[0].ancestry == ("C", "B", "D", "A", "G")
    assert paths(text) == {"x": "$.d", "y": "$.b"}


@pytest.mark.requirement("CD-6")
def test_a_class_inherits_what_its_parent_resolves_to() -> None:
    """For whatever the child does not touch, looking at the parent alone is enough."""
    text = "D { x: $.d } A + D { x: $.a } B + D { z: $.b } G { x: $.g; w: $.g } P < G + B, A { y: $.p } C < P { v: $.c }"
    child, parent = paths(text), paths(text, "P")
    assert {name: path for name, path in child.items() if name != "v"} == parent


def test_names_are_one_column_whatever_their_case() -> None:
    assert paths("P { CREATED_AT: $.p } C < P { created_at: $.c }") == {"created_at": "$.c"}


@pytest.mark.requirement("CD-11")
def test_unknown_parents_and_mixins_are_named_with_the_place_that_names_them() -> None:
    problems = found("C < P + A { x: $.x }")[1]
    assert [(problem.code, problem.location) for problem in problems] == [
        ("unknown-parent", "text:1"),
        ("unknown-mixin", "text:1"),
    ]
    assert codes("C { }", "D") == ["unknown-class"]


def test_an_override_that_forgets_the_sensitivity_is_pointed_out() -> None:
    from dataclasses import replace

    classes = graph("P { x: $.p } C < P { x: $.c }")
    masked = replace(classes["P"].mappings[0], sensitivity="mask")
    classes["P"] = replace(classes["P"], mappings=(masked,))
    assert [problem.code for problem in resolve(classes, "C")[1]] == ["sensitivity-lost"]


@pytest.mark.requirement("CD-6")
def test_a_thousand_classes_resolve_within_a_second() -> None:
    def body(at: int) -> str:
        return "; ".join(f"c{(at * 7 + k) % 60}: $.k{at}.v{k}" for k in range(12))

    mixins = " ".join(f"M{at} {{ {body(at)} }}" for at in range(100))
    roots = " ".join(f"R{at} {{ {body(at)} }}" for at in range(10))

    def parent(at: int) -> str:  # chains of ten classes
        return f"K{at - 10}" if at % 100 >= 10 else f"R{at % 10}"

    rest = " ".join(f"K{at} < {parent(at)} + M{at % 100}, M{(at * 3) % 100} {{ {body(at)} }}" for at in range(890))
    classes = graph(f"{mixins} {roots} {rest}")
    assert len(classes) == 1_000
    # Of the processor's time, so that a busy machine is not measured.
    best = min(_seconds(classes) for _ in range(3))
    assert best <= 1.0, f"{best:.2f} s"


def _seconds(classes: dict) -> float:  # type: ignore[type-arg]
    began = time.process_time()
    for name in classes:
        resolve(classes, name)
    return time.process_time() - began

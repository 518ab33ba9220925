"""Graphs, differences and plans of migration."""

from xml.etree import ElementTree

import pytest

from domain.onboarding.flows.changes import changes
from domain.onboarding.flows.drawing import as_svg
from domain.onboarding.flows.graph import as_mermaid
from domain.onboarding.flows.migrating import Fit, plan
from schemas.flows import FlowDefinition
from tests.unit.domain.onboarding.giving import SHIPPED, flow, move

SVG = "{http://www.w3.org/2000/svg}"


def changed(name: str, **update: object) -> FlowDefinition:
    return FlowDefinition.model_validate({**SHIPPED[name].as_document(), "version": 2, **update})


@pytest.mark.requirement("WF-15")
@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_both_drawings_show_every_state_and_transition(name: str) -> None:
    definition = SHIPPED[name]
    mermaid, svg = as_mermaid(definition), ElementTree.fromstring(as_svg(definition))  # noqa: S314 - our own text
    texts = [element.text for element in svg.iter(f"{SVG}text")]
    assert len(list(svg.iter(f"{SVG}rect"))) == len(definition.states)
    for state in definition.states:
        assert state.name in texts
    for one in definition.transitions:
        assert f"    {one.from_state} --> {one.to}: {one.action} (" in mermaid
        assert sum((text or "").startswith(f"{one.action} (") for text in texts) >= 1
    assert len(list(svg.iter(f"{SVG}path"))) == mermaid.count(" --> ") - 1 - sum(s.end is not None for s in definition.states)


def test_boxes_do_not_overlap() -> None:
    for definition in SHIPPED.values():
        svg = ElementTree.fromstring(as_svg(definition))  # noqa: S314 - our own text
        corners = [(int(box.attrib["x"]), int(box.attrib["y"])) for box in svg.iter(f"{SVG}rect")]
        assert len(set(corners)) == len(corners)
        for first in corners:
            for second in corners:
                assert first == second or abs(first[0] - second[0]) >= 190 or abs(first[1] - second[1]) >= 46


def test_what_a_name_holds_cannot_leave_the_picture() -> None:
    definition = flow(move("A", "DONE"), states={"A": {"review": {"group": "a:b"}}})
    assert "note right of A: review - a-b" in as_mermaid(definition).replace("a - b", "a-b").replace("a -b", "a-b")


def test_a_difference_names_the_part_and_the_words() -> None:
    old = SHIPPED["card-onboarding"]
    document = old.as_document()
    transitions = [dict(one) for one in document["transitions"]]
    transitions[1]["retry"] = {"retries": 5, "delay": "1s"}
    new = changed("card-onboarding", transitions=transitions[:-1], title="Cards")
    told = [(one.kind, one.part, one.name) for one in changes(old, new)]
    assert told == [
        ("changed", "flow", "card-onboarding"),
        ("changed", "transition", "ACCOUNT_PENDING NEXT"),
        ("removed", "transition", "CARD_ACTIVATED NEXT"),
    ]
    assert changes(old, new)[1].after == {"retry": {"retries": 5}}
    assert changes(old, changed("card-onboarding")) == []


@pytest.mark.requirement("IN-13")
def test_a_plan_says_of_every_state_whether_instances_would_fit() -> None:
    old = flow(
        move("A", "B"),
        move("B", "C", by="SYSTEM", handler="work", compensation="UNDO_WORK"),
        move("C", "D", by="OPERATOR"),
        move("D", "DONE"),
        handlers=[{"name": "work"}, {"name": "UNDO_WORK"}],
    )
    new = flow(move("FIRST", "C"), move("C", "DONE"), version=2)
    found = plan(old, new, {"A": "FIRST", "D": "DONE", "Z": "C"})
    assert found.fits == (
        Fit("A", "FIRST", "fits"),
        Fit("B", "B", "passed", "automatic"),
        Fit("C", "C", "unfit", "waits-for-others"),
        Fit("D", "DONE", "unfit", "is-an-end"),
        Fit("DONE", "DONE", "passed", "end"),
        Fit("NO", "NO", "passed", "end"),
    )
    assert (found.unknown, found.undone_by, found.sound) == (("Z",), ("UNDO_WORK",), False)
    assert plan(old, new, {}).fits[0] == Fit("A", "A", "unfit", "no-such-state")
    assert plan(old, old, {}).sound

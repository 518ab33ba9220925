"""One aggregate, one topic, one writer: two writers would number the same aggregate twice, and readers drop one of them.

Read from the code: each `OutboxEvent(...)` names its topic and its aggregate by constants of its module. An entity is the
exception: its aggregate is its type, which is a tenant's word, and whether its writer is upstream or this house is decided
per type (a managed one is refused at the publish door and ignored from a stranger).
"""

import ast
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pytest

from checks import ROOT, present_rooms
from schemas.registry import TOPICS

NAMED = ("topic", "aggregate")
ENTITY = "entity_type"
# Written by outsiders and by this house: entity changes per type, and commands, which carry no number.
SHARED = {"crm.entity.events", "work-items.commands.v1", "onboarding.commands.v1"}
# No event of theirs has a number: whose key they use is a matter of order alone.
UNNUMBERED = {"rules.executions.v1", "onboarding.step-requests.v1"}


class Written(NamedTuple):
    """One place in the code that makes events."""

    package: str
    topic: str
    aggregate: str


def written(modules: Mapping[str, str]) -> Iterator[Written]:
    """Every place, by module and its text. AssertionError for one that does not say what it writes."""
    for name, text in modules.items():
        tree = ast.parse(text)
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "OutboxEvent":
                given = {word.arg: word.value for word in node.keywords}
                values = [_named(given.get(field), constants) for field in NAMED]
                assert all(values), f"{name}:{node.lineno}: name topic and aggregate by constants of the module"
                yield Written(".".join(name.split(".")[:2]), *map(str, values))


def _named(value: ast.expr | None, constants: Mapping[str, object]) -> object:
    if isinstance(value, ast.Attribute) and value.attr == ENTITY:
        return ENTITY
    return constants.get(getattr(value, "id", ""))


def faults(places: Iterator[Written]) -> list[str]:
    """What breaks the rule. Commands carry no number, so an aggregate may have them beside its events."""
    found, topics = [], dict[str, str]()
    for place in places:
        if place.topic not in TOPICS or TOPICS[place.topic].writer != place.package:
            found.append(f"{place.package} writes to {place.topic}, which is not its own")
        if (
            ".commands" not in place.topic
            and place.topic not in UNNUMBERED
            and topics.setdefault(place.aggregate, place.topic) != place.topic
        ):
            found.append(f"{place.aggregate} is on {topics[place.aggregate]} and on {place.topic}")
    return found


def house() -> dict[str, str]:
    """Every module that runs in production."""
    paths = [path for room in present_rooms() for path in (ROOT / room).rglob("*.py")]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text() for path in paths}


@pytest.mark.hole("one-topic-one-writer")
def test_an_aggregates_events_go_to_one_topic_and_come_from_its_writer() -> None:
    places = list(written(house()))
    assert faults(iter(places)) == []
    assert {place.package for place in places} == {topic.writer for topic in TOPICS.values() if topic.writer}


@pytest.mark.hole("one-topic-one-writer")
def test_only_the_outbox_itself_inserts_into_its_table() -> None:
    pattern = re.compile(r"insert\s+into\s+outbox_events\b", re.IGNORECASE)
    files = [path for room in present_rooms() for kind in ("sql", "py") for path in (ROOT / room).rglob(f"*.{kind}")]
    assert [str(path.relative_to(ROOT)) for path in files if pattern.search(path.read_text())] == ["domain/outbox/outbox.sql"]


@pytest.mark.hole("one-topic-one-writer")
def test_a_topic_with_outside_producers_has_no_writer_here() -> None:
    assert {topic.name for topic in TOPICS.values() if topic.outside_producers and topic.writer} == SHARED


MODULE = 'TOPIC = "{topic}"\nKIND = "{kind}"\nOutboxEvent(topic=TOPIC, aggregate=KIND)'
ITEMS = ("domain.work_items.publishing", MODULE.format(topic="work-items.events.v1", kind="work_item"))


@pytest.mark.parametrize(
    ("name", "topic", "kind", "expected"),
    [
        ("domain.work_items.more", "work-items.events.v1", "work_item", 0),
        ("domain.rules.more", "work-items.events.v1", "rule", 1),
        ("domain.work_items.more", "no-such-topic", "thing", 1),
        ("domain.work_items.more", "onboarding.events.v1", "work_item", 2),
    ],
)
def test_control_a_second_writer_or_topic_is_found(name: str, topic: str, kind: str, expected: int) -> None:
    modules = dict([ITEMS, (name, MODULE.format(topic=topic, kind=kind))])
    assert len(faults(written(modules))) == expected


def test_control_a_writer_that_hides_its_topic_is_found() -> None:
    with pytest.raises(AssertionError, match="constants"):
        list(written({"domain.rules.hidden": "OutboxEvent(topic=choose(), aggregate=KIND)"}))

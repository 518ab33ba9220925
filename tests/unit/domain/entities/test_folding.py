"""From change events to the newest state: each written rule of docs/reference/entities.md, and what holds for all histories."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.entities.activity import activity_of
from domain.entities.entity import Entity
from domain.entities.folding import fold
from domain.entities.store import pack_values, unpack_values
from domain.keys.purge import names_subject
from schemas.entities import EntityChangeEvent
from tests.unit.domain.entities.changes import NOW, change, folded, known, minutes

CREATE = change("CREATE", {"name": "An", "stage": "NEW"})


def values(entity: Entity | None) -> dict[str, Any] | None:
    return None if entity is None or entity.removed else dict(entity.values)


@pytest.mark.requirement("RU-13")
@pytest.mark.parametrize(
    ("rule", "history", "expected"),
    [
        ("a creation says all", [CREATE], {"name": "An", "stage": "NEW"}),
        ("a creation without values is an empty entity", [change("CREATE")], {}),
        ("new values lie over the known", [CREATE, change("UPDATE", {"stage": "WON"})], {"name": "An", "stage": "WON"}),
        ("null is a value", [CREATE, change("UPDATE", {"stage": None})], {"name": "An", "stage": None}),
        (
            "a changed field without a value is cleared",
            [CREATE, change("UPDATE", {"name": "Bo"}, changed_fields=("name", "stage"))],
            {"name": "Bo"},
        ),
        (
            "a changed path keeps its object",
            [CREATE, change("UPDATE", {"at": {"city": "Hue"}}, changed_fields=("at.city",))],
            {"name": "An", "stage": "NEW", "at": {"city": "Hue"}},
        ),
        (
            "an update without values says nothing",
            [CREATE, change("UPDATE", changed_fields=("stage",))],
            dict(CREATE.new_values or {}),
        ),
        (
            "an unknown entity begins with what an update knows",
            [change("UPDATE", {"stage": "WON"}, old_values={"name": "An", "stage": "NEW"})],
            {"name": "An", "stage": "WON"},
        ),
        ("a late creation fills up", [change("UPDATE", {"stage": "WON"}), CREATE], {"name": "An", "stage": "WON"}),
        ("a removal leaves nothing", [CREATE, change("DELETE")], None),
        ("a late update of a removed one", [CREATE, change("DELETE"), change("UPDATE", {"stage": "WON"})], None),
        ("a creation after a removal", [CREATE, change("DELETE"), change("CREATE", {"a": 1})], {"a": 1}),
        ("a removal of an unknown one", [change("DELETE"), change("UPDATE", {"a": 1})], None),
        (
            "a version counts",
            [change("CREATE", {"a": 1}, entity_version=2), change("UPDATE", {"a": 0}, entity_version=1)],
            {"a": 1},
        ),
        (
            "a versioned update is the whole entity",
            [change("CREATE", {"a": 1, "b": 1}, entity_version=1), change("UPDATE", {"a": 2}, entity_version=2)],
            {"a": 2},
        ),
        (
            "a versioned update without values is ignored",
            [change("CREATE", {"a": 1}, entity_version=1), change("UPDATE", entity_version=2)],
            {"a": 1},
        ),
        (
            "a newer version brings a removed one back",
            [change("DELETE", entity_version=2), change("UPDATE", {"a": 1}, entity_version=3)],
            {"a": 1},
        ),
    ],
    ids=lambda rule: rule if isinstance(rule, str) else "",
)
def test_the_written_rules(rule: str, history: list[EntityChangeEvent], expected: dict[str, Any] | None) -> None:
    assert values(folded(history)) == expected


def test_whose_an_entity_is() -> None:
    assert known(a=1).subject_id == "LEAD/42"
    named = folded([CREATE, change("UPDATE", {"a": 1}, subject_id="person-7"), change("UPDATE", {"a": 2})])
    assert named is not None
    assert named.subject_id == "person-7"


def test_a_new_life_goes_on_with_our_numbers() -> None:
    before = folded([CREATE, change("DELETE")])
    assert before is not None
    again = fold(before, change("CREATE", {"a": 1}, timestamp=minutes(5)))
    assert again is not None
    assert (again.created_at, again.event_sequence, again.removed) == (minutes(5), before.event_sequence, False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 3), max_size=4)
VERSIONED = st.builds(
    lambda kind, new, version: change(kind, new, entity_version=version),
    st.sampled_from(("CREATE", "UPDATE", "DELETE")),
    st.none() | FIELDS,
    st.integers(1, 12),
)
PLAIN = st.builds(
    lambda kind, new, changed: change(kind, new, changed_fields=changed),
    st.sampled_from(("CREATE", "UPDATE", "DELETE")),
    st.none() | FIELDS,
    st.lists(st.sampled_from("abcd"), unique=True, max_size=4).map(tuple),
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_values_come_back_as_they_were_stored(told: dict[str, Any]) -> None:
    """Among them \\u0000, which no jsonb would take."""
    assert unpack_values(pack_values(told)) == told


@given(st.lists(VERSIONED, unique_by=lambda event: event.entity_version, max_size=8), st.data())
def test_events_with_versions_may_come_in_any_order_and_often(history: list[EntityChangeEvent], data: st.DataObject) -> None:
    telling = [event for event in history if not (event.change_type == "UPDATE" and event.new_values is None)]
    newest = max(telling, key=lambda event: event.entity_version or 0, default=None)
    again = data.draw(st.lists(st.sampled_from(history), max_size=5)) if history else []
    came = data.draw(st.permutations([*history, *again]))
    expected = None if newest is None or newest.change_type == "DELETE" else dict(newest.new_values or {})
    assert values(folded(came)) == expected


@given(st.lists(PLAIN, min_size=1, max_size=10))
def test_a_topic_without_versions_read_again_from_its_creation_ends_where_it_ended(history: list[EntityChangeEvent]) -> None:
    whole = [change("DELETE"), CREATE, *history]
    once = folded(whole)
    assert values(folded(whole, once)) == values(once)


@given(st.lists(PLAIN | VERSIONED, max_size=10), st.integers(0, 10))
def test_where_a_batch_ends_makes_no_difference(history: list[EntityChangeEvent], cut: int) -> None:
    assert folded(history[cut:], folded(history[:cut])) == folded(history)


def activity(new: dict[str, Any] | None, kind: str = "CREATE", **fields: Any) -> EntityChangeEvent:
    return change(kind, new, **({"entity_type": "ACTIVITY", "entity_id": "a-1"} | fields))


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (activity({"relatedTo": {"entityType": "LEAD", "entityId": "42"}}), ("north", "LEAD", "42")),
        (activity({"relatedTo": {"entityType": "LEAD", "entityId": 42}}), ("north", "LEAD", "42")),
        (activity({"done": True}, "UPDATE"), ("north", "LEAD", "7")),
        (activity({"relatedTo": "LEAD/42"}), None),
        (activity({"relatedTo": {"entityType": "LEAD", "entityId": True}}), None),
        (activity({"relatedTo": {"entityType": "no type", "entityId": "42"}}), None),
        (activity(None, "DELETE"), None),
        (change("UPDATE", {"relatedTo": {"entityType": "LEAD", "entityId": "42"}}), None),
    ],
)
def test_only_activities_are_activity(event: EntityChangeEvent, expected: object) -> None:
    found = activity_of(event, {"relatedTo": {"entityType": "LEAD", "entityId": "7"}}, NOW)
    assert (found and found[0]) == expected


def test_an_activity_of_tomorrow_counts_as_now() -> None:
    told = {"relatedTo": {"entityType": "LEAD", "entityId": "42"}}
    found = activity_of(activity(told, timestamp=minutes(999)), {}, NOW)
    assert found is not None
    assert found[1] == NOW


def test_a_parked_event_of_an_entity_is_its_subjects() -> None:
    parked = change("UPDATE", {"phone": "1"}).to_json()
    assert names_subject(parked, "LEAD/42")
    assert names_subject(b'{"specversion": "1.0", "data": ' + parked + b"}", "LEAD/42")
    assert not names_subject(parked, "LEAD/43")
    assert names_subject(change("UPDATE", {}, subject_id="p-1").to_json(), "p-1")

"""Which rules can start which: only what may really happen is an edge."""

from typing import Any

import pytest

from domain.rules.graph import circles_through, edges_of
from schemas.rules import RuleDefinition

TAG = {"actionType": "ADD_TAG", "configuration": {"tag": "large"}}
VALUE = {"fieldName": "value", "operator": "GREATER_THAN", "value": 5, "valueType": "NUMBER"}
TAGS = {"fieldName": "tags", "operator": "CONTAINS", "value": "small"}


def circle(**told: Any) -> bool:
    rule = RuleDefinition.model_validate(
        {"name": "A", "triggerType": "ON_UPDATE", "entityType": "LEAD", "actions": [TAG], **told}
    )
    return circles_through("a", edges_of({"a": rule}))


@pytest.mark.requirement("trap-30")
def test_a_rule_that_writes_what_it_watches_can_come_back_to_itself() -> None:
    assert circle(conditions=[VALUE])
    assert circle(triggerType="ON_FIELD_CHANGE", triggerField="tags")
    assert not circle(triggerType="ON_FIELD_CHANGE", triggerField="value")
    assert not circle(triggerType="ON_CREATE")


@pytest.mark.requirement("trap-30")
def test_what_becomes_true_does_so_only_by_a_field_that_a_condition_looks_at() -> None:
    assert not circle(onBecomingTrue=True, conditions=[VALUE])
    assert circle(onBecomingTrue=True, conditions=[VALUE, {"group": [TAGS, VALUE]}])
    assert not circle(onBecomingTrue=True)

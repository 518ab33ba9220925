"""Rules that name each other in files: TRIGGER_WORKFLOW says `ruleName` there, and `ruleId` everywhere else.

A file travels from one installation to the next, where the same rule has another id; a stored rule may get another name
and keeps its id. Pure: a file's words are not judged here, only rewritten.
"""

from collections.abc import Callable, Mapping
from typing import Any

from domain.rules.problems import pointer_to
from schemas.rules import ActionType

BY_NAME, BY_ID = "ruleName", "ruleId"
# A configuration, and at which place its action stands.
Change = Callable[[Mapping[str, Any], int], dict[str, Any]]


def with_ids(document: object, ids: Mapping[str, str]) -> tuple[object, list[str]]:
    """The rule with ids in place of names, and where a name stands that has none."""
    missing = list[str]()

    def resolve(configuration: Mapping[str, Any], at: int) -> dict[str, Any]:
        name = configuration.get(BY_NAME)
        if BY_ID in configuration or not isinstance(name, str):
            return dict(configuration)
        if name not in ids:
            missing.append(pointer_to("actions", at, "configuration", BY_NAME))
        return _renamed(configuration, BY_NAME, BY_ID, ids.get(name, name))

    return _rewritten(document, resolve), missing


def with_names(document: object, names: Mapping[str, str]) -> object:
    """The rule with names in place of the ids that have one."""

    def name(configuration: Mapping[str, Any], _: int) -> dict[str, Any]:
        rule_id = configuration.get(BY_ID)
        if not isinstance(rule_id, str) or rule_id not in names:
            return dict(configuration)
        return _renamed(configuration, BY_ID, BY_NAME, names[rule_id])

    return _rewritten(document, name)


def _rewritten(document: object, change: Change) -> object:
    actions = document.get("actions") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(actions, list):
        return document
    return {**document, "actions": [_action(action, at, change) for at, action in enumerate(actions)]}


def _action(action: object, at: int, change: Change) -> object:
    if not isinstance(action, dict) or action.get("actionType") != ActionType.TRIGGER_WORKFLOW:
        return action
    configuration = action.get("configuration")
    return {**action, "configuration": change(configuration, at)} if isinstance(configuration, dict) else action


def _renamed(configuration: Mapping[str, Any], old: str, new: str, value: str) -> dict[str, Any]:
    return {new if name == old else name: value if name == old else told for name, told in configuration.items()}

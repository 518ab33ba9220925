"""The JSON Schema of rule files, for editors: they complete fields and enums and mark what is wrong while somebody types.

It says what can be said about shape. What a rule names and whether its parts fit together says `casestream rule lint`.
"""

from typing import Any

from pydantic import TypeAdapter

from schemas.rule_actions import CONFIGURATIONS, TriggerWorkflow
from schemas.rules import ActionType, RuleDefinition

_NAME = {"type": "string", "minLength": 1, "maxLength": 255}
# The documents' ids are integers; both are read.
_AN_ID = ("ruleId", "templateId", "userId", "teamId", "assignTo")


def rule_file_schema() -> dict[str, Any]:
    """A list of rules; the configuration of an action is that of its type."""
    schema = TypeAdapter(list[RuleDefinition]).json_schema(by_alias=True, mode="validation")
    definitions = schema["$defs"]
    for action_type, model in CONFIGURATIONS.items():
        told = model.model_json_schema(by_alias=True, mode="validation", ref_template="#/$defs/{model}")
        definitions |= told.pop("$defs", {})
        definitions[action_type.value] = _with_numbers(told)
    definitions[ActionType.TRIGGER_WORKFLOW.value] = _started_by_name(definitions[ActionType.TRIGGER_WORKFLOW.value])
    definitions["ActionSpec"]["allOf"] = [_configured(action_type) for action_type in CONFIGURATIONS]
    return {**schema, "minItems": 1, "description": "Rules of one tenant, known by their names."}


def _configured(action_type: ActionType) -> dict[str, Any]:
    return {
        "if": {"properties": {"actionType": {"const": action_type.value}}, "required": ["actionType"]},
        "then": {"properties": {"configuration": {"$ref": f"#/$defs/{action_type.value}"}}},
    }


def _with_numbers(model: dict[str, Any]) -> dict[str, Any]:
    """Ids may be numbers, as the documents write them."""
    properties = dict(model["properties"])
    for name in _AN_ID:
        if name in properties:
            properties[name] = {**_without_type(properties[name]), "type": ["string", "integer"]}
    for name in ("userIds", "toUsers"):
        if name in properties:
            items = properties[name]["items"]
            properties[name] = {**properties[name], "items": {**items, "type": ["string", "integer"]}}
    return {**model, "properties": properties}


def _without_type(schema: dict[str, Any]) -> dict[str, Any]:
    """An optional id without its null, which nobody writes into a file."""
    told = next((one for one in schema.get("anyOf", ()) if one.get("type") == "string"), schema)
    return {key: value for key, value in told.items() if key != "type"}


def _started_by_name(model: dict[str, Any]) -> dict[str, Any]:
    properties = {**model["properties"], "ruleName": {**_NAME, "description": "Of a rule of these files, or a stored one."}}
    choice = [{"required": ["ruleId"]}, {"required": ["ruleName"]}]
    described = f"{TriggerWorkflow.__doc__} Named by `ruleName` or `ruleId`."
    return {
        **{key: value for key, value in model.items() if key != "required"},
        "description": described,
        "properties": properties,
        "oneOf": choice,
    }

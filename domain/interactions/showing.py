"""What of a case a front end sees (IN-11). Pure.

Only what the case definition describes is shown, so that a handler's words never leave by accident. `writeOnly` is left out;
`x-sensitivity` is shown as a mask, and so is whatever the case's class calls sensitive.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from domain.cases.masking import masked
from domain.cases.sensitivity import MASK, mask

_HIDDEN = object()
_DEEPEST = 20


def snapshot(schema: Mapping[str, Any], known: Mapping[str, Any], sensitive_paths: Sequence[str] = ()) -> dict[str, Any]:
    """The case for its owner's front end. `sensitive_paths`: of the case's class."""
    shown = _shown(schema, schema, dict(known), 0)
    if shown is _HIDDEN or not isinstance(shown, dict):
        return {}
    if not sensitive_paths:
        return shown
    hidden = json.loads(masked(json.dumps(shown).encode(), sensitive_paths))
    return hidden if isinstance(hidden, dict) else {}


def visible_names(schema: Mapping[str, Any]) -> frozenset[str]:
    """Members of a case that a front end may hear the names of."""
    described = schema.get("properties", {})
    return frozenset(name for name, spec in described.items() if _resolved(schema, spec).get("writeOnly") is not True)


def _shown(root: Mapping[str, Any], spec: object, value: Any, depth: int) -> Any:
    spec = _resolved(root, spec)
    if spec.get("writeOnly") is True or depth > _DEEPEST:
        return _HIDDEN
    if "x-sensitivity" in spec:
        return mask(value) if spec["x-sensitivity"] == "mask" and isinstance(value, str) else MASK
    if isinstance(value, dict):
        return _members(root, spec, value, depth)
    if isinstance(value, list):
        shown = [_shown(root, spec["items"], one, depth + 1) for one in value] if "items" in spec else [_HIDDEN]
        return [one for one in shown if one is not _HIDDEN] if "items" in spec else _HIDDEN
    return value


def _members(root: Mapping[str, Any], spec: Mapping[str, Any], value: Mapping[str, Any], depth: int) -> Any:
    described = spec.get("properties")
    if not isinstance(described, dict):
        return _HIDDEN
    shown = {name: _shown(root, described[name], value[name], depth + 1) for name in value if name in described}
    return {name: one for name, one in shown.items() if one is not _HIDDEN}


def _resolved(root: Mapping[str, Any], spec: object) -> Mapping[str, Any]:
    """A schema behind references to parts; what cannot be followed hides everything."""
    for _ in range(_DEEPEST):
        if not isinstance(spec, dict):
            return {} if spec is True else {"writeOnly": True}
        reference = spec.get("$ref")
        if reference is None:
            return spec
        part = str(reference).removeprefix("#/$defs/")
        spec = {**root.get("$defs", {}).get(part, {"writeOnly": True}), **{k: v for k, v in spec.items() if k != "$ref"}}
    return {"writeOnly": True}

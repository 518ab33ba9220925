"""BACKWARD_TRANSITIVE: does today's reader accept every event that any published version of its schema allowed?

Replays read the first event ever written, so a schema is compared with all its ancestors, never just the last one. The
judgement errs on the safe side: what cannot be proved is reported. Content models are open (an older reader meets a
newer writer), hence a removed field is fine, and closing a model is not. An added optional field is fine as well: only
our own models wrote the old events, and they never wrote a field that they did not have.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

# Keywords that say something to people, not to validators.
_ANNOTATIONS = frozenset("$id $schema $defs $comment title description default examples deprecated".split())
# keyword: does the new bound admit everything that the old one did?
_LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_JUDGED = frozenset("type enum const anyOf $ref pattern format properties required items additionalProperties".split()) | {
    *_LOWER_BOUNDS,
    *_UPPER_BOUNDS,
}
_ANY: Schema = {}
_TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")


def problems(new: Schema, old: Schema) -> list[str]:
    """Why a reader of `new` may refuse (or read otherwise) an event that `old` allowed; empty when it never does."""
    return list(_Comparison(new, old).compare(new, old, ""))


def transitive_problems(new: Schema, ancestors: Mapping[int, Schema]) -> list[str]:
    """`problems` against every published version, each line naming it."""
    return [f"version {number}: {line}" for number, old in sorted(ancestors.items()) for line in problems(new, old)]


def judge(current: Mapping[str, Schema], history: Mapping[str, Mapping[int, Schema]]) -> list[str]:
    """Everything wrong with today's schemas (by type) against all that was ever published, each line naming the type."""
    found = []
    for name, versions in sorted(history.items()):
        if sorted(versions) != list(range(1, len(versions) + 1)):
            found.append(f"{name}: history has versions {sorted(versions)}, expected 1, 2, 3 ...: restore what is missing")
        if name not in current:
            found.append(f"{name}: the type is gone, and replays still read its events: restore its model")
        else:
            found += [f"{name}: {line}" for line in transitive_problems(current[name], versions)]
    return found


class _Comparison:
    """Walks two schemas side by side; `place` is the JSON pointer of the value that both describe."""

    def __init__(self, new: Schema, old: Schema) -> None:
        self._new_root, self._old_root = new, old
        self._open: set[tuple[str | None, str | None]] = set()

    def compare(self, new: Any, old: Any, place: str) -> Iterator[str]:
        pair = (_reference(new), _reference(old))
        if all(pair) and pair in self._open:
            return  # recursive models: this pair is under comparison already
        self._open.add(pair)
        yield from self._compare_resolved(_resolve(new, self._new_root), _resolve(old, self._old_root), place)
        self._open.discard(pair)

    def _compare_resolved(self, new: Any, old: Any, place: str) -> Iterator[str]:
        if new is False:
            yield f"{place or '/'}: no value is accepted any more"
        elif new is not True and old is not False:
            yield from self._branches(new, _ANY if old is True else old, place)

    def _branches(self, new: Schema, old: Schema, place: str) -> Iterator[str]:
        yield from _default_changed(new, old, place)
        if _choices(new) is not None:
            yield from _unprovable(new, old, place or "/", new.keys() - {"anyOf"} - _ANNOTATIONS)
        if (choices := _choices(old)) is not None:
            for branch in choices:
                yield from self.compare(new, branch, place)
        elif (choices := _choices(new)) is not None:
            yield from self._some_branch(choices, old, place)
        else:
            yield from self._judge(new, old, place)

    def _some_branch(self, choices: list[Any], old: Schema, place: str) -> Iterator[str]:
        """One branch that accepts everything is enough; otherwise the complaint of the branch that is nearest."""
        complaints = [list(self.compare(branch, old, place)) for branch in choices]
        if all(complaints):
            yield from min(complaints, key=lambda lines: (any("narrowed" in line for line in lines), len(lines)))

    def _judge(self, new: Schema, old: Schema, place: str) -> Iterator[str]:
        values = _values(old)
        if values is not None:
            yield from (f"{place or '/'}: value {value!r} is refused now" for value in values if not accepts(new, value))
            return
        where = place or "/"
        yield from _narrowed_type(new, old, where)
        if _values(new) is not None:
            yield f"{where}: any value became a fixed list"
        yield from _tightened(new, old, where)
        yield from _changed_text_form(new, old, where)
        yield from _unprovable(new, old, where, new.keys() - _JUDGED - _ANNOTATIONS)
        yield from self._object(new, old, place)
        if "items" in new:
            yield from self.compare(new["items"], old.get("items", _ANY), f"{place}/*")

    def _object(self, new: Schema, old: Schema, place: str) -> Iterator[str]:
        for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
            yield f"{place}/{name}: required now, and old events may lack it (give it a default)"
        before, after = old.get("properties", {}), new.get("properties", {})
        rest, old_rest = new.get("additionalProperties", True), old.get("additionalProperties")
        if rest is False:
            yield f"{place or '/'}: closed (additionalProperties false), so a field of an old event would be refused"
            return
        for name in sorted(after.keys() | before.keys()):
            # A map (`additionalProperties` spoken out) may have held any name before a property took it.
            if name in before or old_rest is not None:
                yield from self.compare(after.get(name, rest), before.get(name, old_rest), f"{place}/{name}")
        yield from self.compare(rest, True if old_rest is None else old_rest, f"{place}/<any>")


def accepts(schema: Any, value: object) -> bool:
    """Whether a plain value (text, number, boolean, null) satisfies a schema; what is not understood refuses."""
    if isinstance(schema, bool):
        return schema
    if (choices := _choices(schema)) is not None:
        return any(accepts(branch, value) for branch in choices)
    if (values := _values(schema)) is not None:
        return any(type(each) is type(value) and each == value for each in values)
    if "$ref" in schema or (schema.keys() - _JUDGED - _ANNOTATIONS):
        return False
    return _is_of_type(schema, value) and _within_bounds(schema, value)


def _is_of_type(schema: Schema, value: object) -> bool:
    names = _types(schema)
    match value:
        case None:
            return "null" in names
        case bool():
            return "boolean" in names
        case int():
            return bool({"integer", "number"} & names)
        case float():
            return "number" in names
        case str():
            return "string" in names
        case _:
            return False


def _within_bounds(schema: Schema, value: object) -> bool:
    if isinstance(value, str):
        pattern = schema.get("pattern")
        fits = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
        return fits and "format" not in schema and (pattern is None or re.search(pattern, value) is not None)
    if isinstance(value, int | float) and not isinstance(value, bool):
        above = schema.get("minimum", value) <= value and not value <= schema.get("exclusiveMinimum", value - 1)
        below = value <= schema.get("maximum", value) and not value >= schema.get("exclusiveMaximum", value + 1)
        return bool(above and below)
    return True


def _narrowed_type(new: Schema, old: Schema, where: str) -> Iterator[str]:
    lost = _types(old) - _types(new)
    if "number" in _types(new):
        lost -= {"integer"}
    if lost:
        yield f"{where}: type narrowed, {' and '.join(sorted(lost))} is refused now"


def _tightened(new: Schema, old: Schema, where: str) -> Iterator[str]:
    for keyword in (*_LOWER_BOUNDS, *_UPPER_BOUNDS):
        if keyword not in new or not _concerns(keyword, old):
            continue
        bound, before = new[keyword], old.get(keyword)
        if before is None or (bound > before if keyword in _LOWER_BOUNDS else bound < before):
            yield f"{where}: {keyword} tightened from {'nothing' if before is None else before} to {bound}"


def _concerns(keyword: str, old: Schema) -> bool:
    kinds = {
        "Length": {"string"},
        "Items": {"array"},
        "Properties": {"object"},
    }.get(re.sub("^(min|max)", "", keyword), {"integer", "number"})
    return bool(kinds & _types(old))


def _changed_text_form(new: Schema, old: Schema, where: str) -> Iterator[str]:
    for keyword in ("pattern", "format"):
        if keyword in new and new[keyword] != old.get(keyword) and "string" in _types(old):
            yield f"{where}: {keyword} changed, and old values may fail it"


def _unprovable(new: Schema, old: Schema, where: str, keywords: Iterable[str]) -> Iterator[str]:
    for keyword in sorted(keywords):
        # Equal text proves nothing when it refers to a definition that may have changed.
        if new[keyword] != old.get(keyword) or "$ref" in repr(new[keyword]):
            yield f"{where}: {keyword} changed, and no rule here can prove that it is harmless"


def _default_changed(new: Schema, old: Schema, place: str) -> Iterator[str]:
    if "default" in old and "default" in new and new["default"] != old["default"]:
        yield (
            f"{place or '/'}: default changed from {old['default']!r} to {new['default']!r}: "
            "an old event without the field would be read otherwise"
        )


def _types(schema: Schema) -> set[str]:
    named = schema.get("type", _TYPES)
    return {named} if isinstance(named, str) else set(named)


def _values(schema: Schema) -> list[object] | None:
    if "const" in schema:
        return [schema["const"]]
    return list(schema["enum"]) if "enum" in schema else None


def _choices(schema: Schema) -> list[Any] | None:
    return list(schema["anyOf"]) if "anyOf" in schema else None


def _reference(schema: Any) -> str | None:
    return schema.get("$ref") if isinstance(schema, Mapping) else None


def _resolve(schema: Any, root: Schema) -> Any:
    while (reference := _reference(schema)) is not None:
        target = root["$defs"][reference.removeprefix("#/$defs/")]
        schema = {**target, **{keyword: schema[keyword] for keyword in schema if keyword != "$ref"}}
    return schema

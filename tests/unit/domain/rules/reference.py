"""A slow evaluator of rules, written from the documents and DESIGN alone, to hold the compiled one to.

It shares no code with domain/: it reads the sent JSON of a rule as it is, one condition after the other, with Decimal for
every number and a fresh look at every value. Where the two disagree, one of them is wrong.
"""

import json
import re
import unicodedata
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any

Json = dict[str, Any]


class Gone:
    """No value at all."""


GONE = Gone()


# -- values


def look_up(values: Json | None, path: str) -> Any:
    """`a.b[0]['c.d']`, one step after the other."""
    found: Any = values if values is not None else {}
    for name, quoted, index in re.findall(r"\.?([^.\[\]]+)|\['((?:[^'\\]|\\.)*)'\]|\[(-?\d+)\]", bracketed(path)):
        if index:
            place = int(index)
            if not isinstance(found, list) or place >= len(found) or place < -len(found):
                return GONE
            found = found[place]
        else:
            key = name or quoted.replace("\\'", "'").replace("\\\\", "\\")
            if not isinstance(found, dict) or key not in found:
                return GONE
            found = found[key]
    return found


def bracketed(path: str) -> str:
    """Names with dots stand in quotes; nothing else of the path has dots inside."""
    parts = re.split(r"(\['(?:[^'\\]|\\.)*'\])", path)
    plain = [
        re.sub(r"(^|\.)([^.\[\]]+)", lambda found: f"['{found[2]}']", part) if at % 2 == 0 else part
        for at, part in enumerate(parts)
    ]
    return "".join(plain)


def is_nothing(value: Any) -> bool:
    return value is GONE or value is None


def number(value: Any) -> Decimal | None:
    if isinstance(value, bool):
        return None
    text = value if isinstance(value, str) else repr(value) if isinstance(value, float) else str(value)
    if isinstance(value, list | dict) or (
        isinstance(value, str) and not re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", value)
    ):
        return None
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return None if found.is_nan() else found


def text(value: Any) -> str | None:
    if isinstance(value, bool):
        return {True: "true", False: "false"}[value]
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        exact = Decimal(repr(value))
        written = format(exact, "f")
        while "." in written and written[-1] in "0.":
            last, written = written[-1], written[:-1]
            if last == ".":
                break
        return "0" if written == "-0" else written
    return None


def boolean(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None


def instant(value: Any, zone: tzinfo) -> datetime | None:
    """RFC 3339, or without zone, or a day alone, which is its first instant."""
    if not isinstance(value, str):
        return None
    found = re.fullmatch(
        r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|([+-])(\d\d):?(\d\d))?)?", value, re.ASCII
    )
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    micros = int((found[7] or "0").ljust(6, "0")[:6])
    try:
        local = datetime(year, month, day, hour, minute, second, micros)  # noqa: DTZ001 - the zone follows
        if found[8] is None:
            return local.replace(tzinfo=zone).astimezone(UTC)
        away = timedelta() if found[8] == "Z" else timedelta(hours=int(found[10]), minutes=int(found[11]))
        if int(found[11] or 0) > 59 or int(found[10] or 0) > 23:
            return None
        return (local + away if found[9] == "-" else local - away).replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def day(value: Any, zone: tzinfo) -> date | None:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        try:
            return date(*map(int, value.split("-")))
        except ValueError:
            return None
    moment = instant(value, zone)
    return None if moment is None else moment.astimezone(zone).date()


def typed(value: Any, kind: str, zone: tzinfo) -> Any:
    """The value as its type reads it; None where it does not fit."""
    if kind in ("STRING", "ENUM"):
        return text(value)
    if kind == "NUMBER":
        return number(value)
    if kind == "BOOLEAN":
        return boolean(value)
    return day(value, zone) if kind == "DATE" else instant(value, zone)


def wanted(value: Any, kind: str, now: datetime, zone: tzinfo) -> Any:
    """An expected value, which for days and instants may be relative to now."""
    found = re.fullmatch(r"\s*(now|today)\s*(?:([+-])\s*(\d+)\s*([mhdw]))?\s*", value) if isinstance(value, str) else None
    if kind not in ("DATE", "DATETIME") or found is None:
        return typed(value.strip() if isinstance(value, str) and kind not in ("STRING", "ENUM") else value, kind, zone)
    amount = int(found[3] or 0) * (-1 if found[2] == "-" else 1)
    unit = found[4] or "m"
    moment = now
    if found[1] == "today":
        here = now.astimezone(zone).date()
        if unit in "dw":
            here, amount = here + timedelta(days=amount * (7 if unit == "w" else 1)), 0
        moment = datetime.combine(here, time(), zone).astimezone(UTC)
    moment += (
        amount * {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}[unit]
    )
    return moment.astimezone(zone).date() if kind == "DATE" else moment


def listed(value: Any) -> list[Any]:
    return list(json.loads(value, parse_float=lambda written: written)) if isinstance(value, str) else value


def alike(one: Any, other: Any) -> bool:
    """Two JSON values without a type."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, str) and isinstance(other, str):
        return text(one) == text(other)
    if isinstance(one, int | float) and isinstance(other, int | float):
        return number(one) == number(other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(alike(left, right) for left, right in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return set(one) == set(other) and all(alike(one[key], other[key]) for key in one)
    return one is None and other is None


# -- operators


def caseless(value: Any) -> str | None:
    found = text(value)
    return None if found is None else unicodedata.normalize("NFC", unicodedata.normalize("NFD", found).casefold())


def equals(value: Any, expected: Any, kind: str, now: datetime, zone: tzinfo) -> bool:
    found = typed(value, kind, zone)
    return found is not None and found == wanted(expected, kind, now, zone)


def compares(operator: str, value: Any, expected: Any, kind: str, now: datetime, zone: tzinfo) -> bool:  # noqa: C901 - a list of cases, to be read as one
    """For a value that is there."""
    if operator.startswith("NOT_"):
        return not compares(
            {"NOT_EQUALS": "EQUALS", "NOT_CONTAINS": "CONTAINS", "NOT_IN": "IN"}[operator], value, expected, kind, now, zone
        )
    if operator == "EQUALS":
        return equals(value, expected, kind, now, zone)
    if operator == "IN":
        return any(equals(value, item, kind, now, zone) for item in listed(expected))
    if operator in ("CONTAINS", "STARTS_WITH", "ENDS_WITH"):
        part = caseless(expected)
        assert part is not None
        if isinstance(value, list):
            return operator == "CONTAINS" and any(caseless(item) == part for item in value)
        whole = caseless(value)
        if whole is None:
            return False
        return {"CONTAINS": part in whole, "STARTS_WITH": whole.startswith(part), "ENDS_WITH": whole.endswith(part)}[operator]
    found = typed(value, kind, zone)
    if found is None:
        return False
    if operator == "BETWEEN":
        low, high = (wanted(item, kind, now, zone) for item in listed(expected))
        return bool(low <= found <= high)
    limit = wanted(expected, kind, now, zone)
    if operator == "GREATER_THAN":
        return bool(found > limit)
    if operator == "GREATER_THAN_OR_EQUALS":
        return bool(found >= limit)
    return bool(found < limit if operator == "LESS_THAN" else found <= limit)


# -- conditions


def condition_holds(condition: Json, event: Json, now: datetime, zone: tzinfo) -> bool:  # noqa: C901 - as above
    """One condition that is no group."""
    operator = condition.get("operator")
    if condition.get("checkOldValue"):
        operator = condition.get("oldValueComparison") or {"EQUALS": "WAS", "NOT_EQUALS": "WAS_NOT"}.get(
            operator or "", operator
        )
    assert operator is not None
    kind, expected = condition.get("valueType") or "STRING", condition.get("value")
    absent_is = bool(condition.get("nullMatches"))
    deleted, created, updated = (event["changeType"] == name for name in ("DELETE", "CREATE", "UPDATE"))
    now_values = event.get("oldValues") if deleted else event.get("newValues")
    before_known = created or deleted or event.get("oldValues") is not None
    was_values = None if created else event.get("oldValues")
    value, before = look_up(now_values, condition["fieldName"]), look_up(was_values, condition["fieldName"])

    def is_it(found: Any) -> bool:
        """The question that CHANGED_TO, CHANGED_FROM and WAS ask of one value."""
        if expected is None:
            return is_nothing(found)
        return absent_is if is_nothing(found) else equals(found, expected, kind, now, zone)

    def changed() -> bool:
        if not updated:
            return False
        if not before_known:
            return named_as_changed(condition["fieldName"], event)
        if is_nothing(value) or is_nothing(before):
            return is_nothing(value) != is_nothing(before)
        old, new = typed(before, kind, zone), typed(value, kind, zone)
        return not alike(before, value) if old is None or new is None else bool(old != new)

    if operator == "CHANGED":
        return changed()
    if operator == "CHANGED_TO":
        return changed() and is_it(value)
    if operator == "CHANGED_FROM":
        return updated and before_known and is_it(before) and not is_it(value)
    if operator == "WAS":
        return before_known and is_it(before)
    if operator == "WAS_NOT":
        if not before_known:
            return False
        if expected is None:
            return not is_nothing(before)
        return absent_is if is_nothing(before) else not equals(before, expected, kind, now, zone)
    if operator in ("IS_NULL", "IS_NOT_NULL"):
        return is_nothing(value) is (operator == "IS_NULL")
    if operator in ("IS_EMPTY", "IS_NOT_EMPTY"):
        empty = is_nothing(value) or value in ("", [], {})
        return bool(empty) is (operator == "IS_EMPTY")
    return absent_is if is_nothing(value) else compares(operator, value, expected, kind, now, zone)


def named_as_changed(path: str, event: Json) -> bool:
    """Without old values only the event's own words tell: the path, what it lies in, or what lies in it."""
    mine = re.findall(r"\['((?:[^'\\]|\\.)*)'\]|\[(-?\d+)\]", bracketed(path))
    for name in event.get("changedFields") or []:
        theirs = re.findall(r"\['((?:[^'\\]|\\.)*)'\]|\[(-?\d+)\]", bracketed(name))
        shorter = min(len(mine), len(theirs))
        if name == path or [(name, "")] == mine[:1] or mine[:shorter] == theirs[:shorter]:
            return True
    return False


def conditions_hold(conditions: list[Json], event: Json, now: datetime, zone: tzinfo) -> bool:
    """From left to right, as S1: each word joins everything so far with the next condition; no word is AND."""
    result: bool | None = None
    word = "AND"
    for condition in sorted(conditions, key=lambda one: one.get("conditionOrder") or 0):
        group = condition.get("group")
        holds = conditions_hold(group, event, now, zone) if group is not None else condition_holds(condition, event, now, zone)
        result = holds if result is None else (result and holds) if word == "AND" else (result or holds)
        word = condition.get("logicalOperator") or "AND"
    return result is None or result


def rule_fires(rule: Json, event: Json, now: datetime, zone: tzinfo) -> bool:
    """Whether the conditions are met and, with onBecomingTrue, were not met by the old values."""
    if not conditions_hold(rule["conditions"], event, now, zone):
        return False
    if not rule.get("onBecomingTrue") or event["changeType"] != "UPDATE" or event.get("oldValues") is None:
        return True
    earlier = {**event, "changeType": "CREATE", "newValues": event["oldValues"], "oldValues": None}
    return not conditions_hold(rule["conditions"], earlier, now, zone)


# -- triggers


STAGES = {"LEAD": "leadStatus", "OPPORTUNITY": "stage"}


def rule_is_started(rule: Json, event: Json) -> bool:
    """Whether the event is one that the rule's trigger waits for (trap 4)."""
    trigger, change = rule["triggerType"], event["changeType"]
    if rule["entityType"] != event["entityType"]:
        return False
    if trigger in ("ON_CREATE", "ON_UPDATE", "ON_DELETE"):
        return bool(trigger == f"ON_{change}")
    if trigger not in ("ON_FIELD_CHANGE", "ON_STAGE_CHANGE") or change != "UPDATE":
        return False
    watched = rule.get("triggerField") or STAGES.get(rule["entityType"], "status")
    old, new = event.get("oldValues"), event.get("newValues")
    told = event.get("changedFields") or []
    quoted = re.fullmatch(r"\['(.*)'\]", watched)
    if watched in told or (quoted is not None and quoted[1] in told):
        return True
    if old is None or new is None:
        return named_as_changed(watched, event)
    if told and not named_as_changed(watched, event):
        return False
    before, after = look_up(old, watched), look_up(new, watched)
    return not alike(None if before is GONE else before, None if after is GONE else after)

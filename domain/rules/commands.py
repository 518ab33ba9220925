"""How rules are made, changed, switched and removed (RU-14, trap 43): each change is a version with its author and reason.

Each command takes a connection inside the caller's transaction. What is wrong with a rule is told all at once, with a place
and a sentence for each; nothing is saved then. Runs that began under an older version go on as they began.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from domain.audit import append as append_audit
from domain.rules import store
from domain.rules.checking import check, check_document
from domain.rules.known import KnownNames, named
from domain.rules.known_names import calendar_of, read_known
from domain.rules.problems import Language, Problem, errors
from domain.rules.schedules import follow_edit
from domain.rules.store import Edit, StoredRule
from runtime.ids import uuid7
from runtime.sql import Connection
from schemas.caller import Caller
from schemas.errors import Rejected
from schemas.rules import RuleDefinition

MAY_EDIT = frozenset({"rule-editor", "admin"})
MAY_READ = MAY_EDIT | {"rule-reader", "operator"}


@dataclass(frozen=True, slots=True)
class Saved:
    """The rule after the change, and what its author may want to look at."""

    rule: StoredRule
    warnings: Sequence[Problem] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """Why somebody changes a rule, and in which language they want to be told what is wrong."""

    reason: str | None = None
    language: Language = "en"


async def judge(
    conn: Connection, tenant_id: str, document: object, *, beside: AbstractSet[str] = frozenset()
) -> tuple[RuleDefinition | None, list[Problem]]:
    """A rule as somebody sent it, and everything that is wrong with it. `beside`: ids of rules that are saved with it."""
    calendar = await calendar_of(conn, tenant_id)
    try:
        definition = RuleDefinition.model_validate(document)
    except ValidationError:
        return check_document(document, KnownNames(), calendar.zone)
    known = await read_known(conn, tenant_id, named(definition))
    known = replace(known, rules=(known.rules or frozenset()) | beside)
    return definition, check(definition, known, calendar.zone)


async def create_rule(
    conn: Connection,
    caller: Caller,
    document: object,
    wish: Wish,
    *,
    most: int,
    is_active: bool = True,
    rule_id: str | None = None,
    beside: AbstractSet[str] = frozenset(),
) -> Saved | Rejected:
    """A new rule; `most`: how many a tenant may have; `beside`: ids of rules that are saved in the same transaction."""
    if MAY_EDIT.isdisjoint(caller.roles):
        return _denied()
    generation, rules = await store.begin_change(conn, caller.tenant_id)
    if rules >= most:
        return Rejected("TooManyRules", f"The tenant has {rules} rules, the limit is {most}: remove one that is not needed.")
    definition, problems = await judge(conn, caller.tenant_id, document, beside=beside)
    if definition is None or errors(problems):
        return refused(problems, wish.language)
    edit = Edit(caller.tenant_id, rule_id or str(uuid7()), definition, is_active, caller.user_id, wish.reason)
    await store.insert_rule(conn, edit, generation)
    await follow_edit(conn, edit, 1)
    return await _saved(conn, caller, edit, "rule.created", problems)


async def replace_rule(
    conn: Connection,
    caller: Caller,
    rule_id: str,
    document: object,
    wish: Wish,
    expected: int | None,
    *,
    beside: AbstractSet[str] = frozenset(),
) -> Saved | Rejected:
    """Another version of a rule. `expected`: the version that the caller saw; None takes whatever is there."""
    found = await _changing(conn, caller, rule_id, expected)
    if isinstance(found, Rejected):
        return found
    rule, generation = found
    definition, problems = await judge(conn, caller.tenant_id, document, beside=beside)
    if definition is None or errors(problems):
        return refused(problems, wish.language)
    edit = Edit(caller.tenant_id, rule.id, definition, rule.is_active, caller.user_id, wish.reason)
    await _replace(conn, edit, generation, rule.version)
    return await _saved(conn, caller, edit, "rule.changed", problems)


async def set_active(
    conn: Connection, caller: Caller, rule_id: str, wish: Wish, *, active: bool, expected: int | None = None
) -> Saved | Rejected:
    """Switch a rule on or off. One that is on is checked anew before: what it names may be gone."""
    found = await _changing(conn, caller, rule_id, expected)
    if isinstance(found, Rejected):
        return found
    rule, generation = found
    if rule.is_active == active:
        return Saved(rule)
    if active and errors(problems := (await judge(conn, caller.tenant_id, as_document(rule.definition)))[1]):
        return refused(problems, wish.language)
    edit = Edit(caller.tenant_id, rule.id, rule.definition, active, caller.user_id, wish.reason)
    await _replace(conn, edit, generation, rule.version)
    return await _saved(conn, caller, edit, "rule.activated" if active else "rule.deactivated", [])


async def remove_rule(
    conn: Connection, caller: Caller, rule_id: str, wish: Wish, expected: int | None = None
) -> Rejected | None:
    """The rule fires no more and is listed no more; its versions and runs stay. None when that is done."""
    found = await _changing(conn, caller, rule_id, expected)
    if isinstance(found, Rejected):
        return found
    rule, generation = found
    edit = Edit(caller.tenant_id, rule.id, rule.definition, False, caller.user_id, wish.reason, removed=True)
    await _replace(conn, edit, generation, rule.version)
    await _audit(conn, edit, "rule.removed")
    return None


def as_document(definition: RuleDefinition) -> dict[str, Any]:
    """The definition as people write it."""
    return definition.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)


def refused(problems: Sequence[Problem], language: Language) -> Rejected:
    """The answer that lists every problem."""
    told = [problem_row(problem, language) for problem in problems]
    count = len(errors(list(problems)))
    return Rejected("RuleRefused", f"The rule has {count} problem(s) and was not saved; see errors.", {"errors": told})


def problem_row(problem: Problem, language: Language) -> Mapping[str, str]:
    """A problem as answers show it."""
    return {
        "pointer": problem.pointer,
        "code": problem.code,
        "severity": problem.severity,
        "message": problem.sentence(language),
    }


def not_found(rule_id: str) -> Rejected:
    return Rejected("RuleNotFound", f"There is no rule {rule_id}.")


async def _changing(conn: Connection, caller: Caller, rule_id: str, expected: int | None) -> tuple[StoredRule, int] | Rejected:
    """The rule under the tenant's lock, as the caller saw it."""
    if MAY_EDIT.isdisjoint(caller.roles):
        return _denied()
    generation, _ = await store.begin_change(conn, caller.tenant_id)
    rule = await store.find_rule(conn, caller.tenant_id, rule_id)
    if rule is None:
        return not_found(rule_id)
    if expected is not None and rule.version != expected:
        stale = f"The rule is at version {rule.version}: read it again and repeat the change."
        return Rejected("ConflictState", stale, {"version": rule.version})
    return rule, generation


async def _replace(conn: Connection, edit: Edit, generation: int, version: int) -> None:
    replaced = await store.replace_rule(conn, edit, generation, version)
    assert replaced, "the tenant's rules are locked"
    await follow_edit(conn, edit, version + 1)


async def _saved(conn: Connection, caller: Caller, edit: Edit, action: str, problems: Sequence[Problem]) -> Saved:
    await _audit(conn, edit, action)
    rule = await store.find_rule(conn, caller.tenant_id, edit.id)
    assert rule is not None, "it was written in this transaction"
    return Saved(rule, [problem for problem in problems if problem.severity == "warning"])


async def _audit(conn: Connection, edit: Edit, action: str) -> None:
    await append_audit(
        conn,
        tenant_id=edit.tenant_id,
        actor=edit.author,
        action=action,
        object_type="rule",
        object_id=edit.id,
        reason=edit.reason,
    )


def _denied() -> Rejected:
    return Rejected("PermissionDenied", f"Changing rules needs one of the roles {', '.join(sorted(MAY_EDIT))}.")

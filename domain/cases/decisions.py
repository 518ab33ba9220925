"""What a command does to a case: pure functions from head row and command to a value.

    StoreSnapshot: any state, or no case -> the next version        RemoveCase: a case -> the next version, without snapshot

A removal is a version like any other: the case may be stored again, and keeps its creation. No clock, no random, no
encryption: the time is an argument, the document is composed and sealed by who called.

Order of checks, the same at both doors: PermissionDenied, UnknownTenant, UnknownCaseClass, DocumentRefused, SubjectErased,
CaseClassFixed, CaseSubjectFixed, ConflictState. So nobody without the right learns whether a case exists, and a retry of
what can never succeed says so before it says that it is stale.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from domain.cases import refusals
from domain.cases.case import Case, CaseClass, taken_names
from schemas.caller import Caller
from schemas.cases import RemoveCase, StoreSnapshot
from schemas.errors import Rejected
from schemas.instants import format_time

MAY_STORE = frozenset({"agent", "supervisor", "admin", "import", "engine"})
MAY_LIST = MAY_STORE | {"viewer", "case-reader", "case-reader-sensitive"}
MAY_READ = frozenset({"case-reader", "case-reader-sensitive"})
MAY_SEE_SENSITIVE = frozenset({"case-reader-sensitive"})


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a decision must know beside the head: the tenant, the class (None: unknown), the subject, the variables' names."""

    tenant_active: bool
    erased: bool
    case_class: CaseClass | None = None
    variables: Collection[str] | Rejected = ()


@dataclass(frozen=True, slots=True)
class Decided:
    """The next version. `before` is None for a new case; `fields` stand before the variables in the document.

    `variables` is None for a removal, which has no document.
    """

    before: Case | None
    after: Case
    caller: Caller
    fields: Mapping[str, str | None]
    variables: str | None


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Yes, and nothing happens."""

    case: Case


Outcome = Decided | Unchanged | Rejected


def decide_store(case: Case | None, command: StoreSnapshot, caller: Caller, now: datetime, known: Circumstances) -> Outcome:
    """The next snapshot of a case (UC-01), or its first."""
    if MAY_STORE.isdisjoint(caller.roles):
        return refusals.denied("StoreSnapshot")
    if not known.tenant_active:
        return refusals.unknown_tenant(caller.tenant_id)
    if known.case_class is None:
        return refusals.unknown_class(command.class_name)
    refusal = _wrong_variables(known) or (refusals.erased() if known.erased else None)
    refusal = refusal or _another_case(case, command) or _stale(case, command.expected_version)
    if refusal is not None:
        return refusal
    after = _next(case, command, caller, now)
    return Decided(case, after, caller, _fields(command, after, known.case_class), command.variables)


def decide_remove(case: Case | None, command: RemoveCase, caller: Caller, now: datetime, known: Circumstances) -> Outcome:
    """A version without snapshot. Removing what is removed changes nothing."""
    if MAY_STORE.isdisjoint(caller.roles):
        return refusals.denied("RemoveCase")
    if case is None:
        return refusals.not_found(command.case_id)
    if known.erased:
        return refusals.erased()
    if stale := _stale(case, command.expected_version):
        return stale
    if case.removed:
        return Unchanged(case)
    return Decided(case, _following(case, caller, now, removed=True), caller, {}, None)


def _wrong_variables(known: Circumstances) -> Rejected | None:
    assert known.case_class is not None, "an unknown class is refused before"
    if isinstance(known.variables, Rejected):
        return known.variables
    taken = sorted(set(taken_names(known.case_class.kind)) & set(known.variables))
    return refusals.names_taken(taken) if taken else None


def _another_case(case: Case | None, command: StoreSnapshot) -> Rejected | None:
    if case is None:
        return None
    if case.class_name != command.class_name:
        return refusals.other_class(case)
    return refusals.other_subject(case) if case.subject_id != command.subject_id else None


def _stale(case: Case | None, expected: int | None) -> Rejected | None:
    actual = 0 if case is None else case.version
    return None if expected is None or expected == actual else refusals.stale(expected, case)


def _next(case: Case | None, command: StoreSnapshot, caller: Caller, now: datetime) -> Case:
    if case is not None:
        return _following(case, caller, now, removed=False)
    names = (command.case_id, command.class_name, command.subject_id)
    return Case(caller.tenant_id, *names, 1, False, now, caller.user_id, now, caller.user_id)


def _following(case: Case, caller: Caller, now: datetime, *, removed: bool) -> Case:
    # A writer that waited for the lock may hold an older statement time than the one it waited for.
    at = max(now, case.updated_at)
    return replace(case, version=case.version + 1, removed=removed, updated_at=at, updated_by=caller.user_id)


def _fields(command: StoreSnapshot, after: Case, case_class: CaseClass) -> dict[str, str | None]:
    """The audit fields from the caller's identity and the head, then those of the class tree (CD-1)."""
    fields: dict[str, str | None] = {
        "className": after.class_name,
        "createTime": format_time(after.created_at),
        "startUserId": after.created_by,
        "lastUpdated": format_time(after.updated_at),
        "lastUpdateUserId": after.updated_by,
        "tenantId": after.tenant_id,
    }
    if case_class.kind == "WorkObject":
        given = {"caseInstanceId": after.case_id, "businessKey": command.business_key, "state": command.state}
    elif case_class.kind == "ProcessObject":
        given = {
            "processInstanceId": command.process_instance_id or after.case_id,
            "processDefinitionId": command.process_definition_id,
            "parentInstanceId": command.parent_instance_id,
        }
    else:
        given = {}
    return fields | {name: value for name, value in given.items() if value is not None}

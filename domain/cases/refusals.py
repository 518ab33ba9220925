"""Every "no" that a case may answer: a stable code, a sentence, and no word of what was sent."""

from collections.abc import Sequence

from domain.cases.case import Case
from schemas.errors import Rejected


def denied(action: str) -> Rejected:
    return Rejected("PermissionDenied", f"None of the roles may do {action} on cases.", {"action": action})


def unknown_tenant(tenant_id: str) -> Rejected:
    return Rejected("UnknownTenant", f"The directory has no active tenant {tenant_id}; an operator must import it first.")


def unknown_class(class_name: str) -> Rejected:
    return Rejected("UnknownCaseClass", f"No case can be of class {class_name}: the mapping definitions have no such class.")


def not_found(case_id: str) -> Rejected:
    return Rejected("CaseNotFound", f"Case {case_id} not found.")


def other_class(case: Case) -> Rejected:
    details = {"version": case.version, "className": case.class_name}
    return Rejected("CaseClassFixed", f"The case is of class {case.class_name}, and a case never changes its class.", details)


def other_subject(case: Case) -> Rejected:
    text = "The case belongs to another subject: a case has one subject for ever, other persons are referenced."
    return Rejected("CaseSubjectFixed", text, {"version": case.version})


def stale(expected: int, case: Case | None) -> Rejected:
    actual = 0 if case is None else case.version
    text = f"Expected version {expected}, found {actual or 'no such case'}: read the case again and repeat."
    return Rejected("ConflictState", text, {"version": actual} if actual else {})


def erased() -> Rejected:
    return Rejected("SubjectErased", "The subject of this case was erased: nothing of it is readable, nothing can be added.")


def removed(case: Case) -> Rejected:
    return Rejected("CaseRemoved", f"The case was removed in version {case.version}.", {"version": case.version})


def document_refused(reason: str, pointer: str) -> Rejected:
    finding = {"pointer": f"/variables{pointer}", "code": reason, "message": "The variables are not a document of ours."}
    return Rejected("DocumentRefused", f"The variables are refused: {reason}.", {"errors": [finding]})


def names_taken(names: Sequence[str]) -> Rejected:
    found = [
        {"pointer": f"/variables/{name}", "code": "name-taken", "message": "The snapshot's own field has this name."}
        for name in names
    ]
    return Rejected(
        "DocumentRefused", f"Variables are named like fields of the snapshot: {', '.join(names)}.", {"errors": found}
    )


def too_large(size: int, limit: int) -> Rejected:
    text = f"The sealed snapshot's event would have {size} bytes; at most {limit} can be stored."
    return Rejected("SnapshotTooLarge", text, {"size": size, "limit": limit})


def unreadable() -> Rejected:
    return Rejected("SnapshotUnreadable", "The stored snapshot cannot be decrypted; an operator must look at it.")

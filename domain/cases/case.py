"""A case as its writers know it: the head row, and the class tree's fields of a snapshot (CD-1). Values only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Kind = Literal["WorkObject", "ProcessObject", "DataObject", "FlowableObject"]

AUDIT_FIELDS = ("className", "createTime", "startUserId", "lastUpdated", "lastUpdateUserId", "tenantId")
# Which names a kind's snapshots use beside the audit fields; a variable may carry none of its kind's.
KIND_FIELDS: Mapping[Kind, tuple[str, ...]] = {
    "FlowableObject": (),
    "WorkObject": ("caseInstanceId", "businessKey", "state"),
    "ProcessObject": ("processInstanceId", "processDefinitionId", "parentInstanceId"),
    "DataObject": (),
}


@dataclass(frozen=True, slots=True)
class Case:
    """The head of a case. `version` counts its snapshots and is its last event's number. Columns of `cases`, in order."""

    tenant_id: str
    case_id: str
    class_name: str
    subject_id: str
    version: int
    removed: bool
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str


@dataclass(frozen=True, slots=True)
class CaseClass:
    """What the mapping graph says about a class of cases: where it hangs in the tree, and the paths to mask for readers."""

    kind: Kind
    sensitive_paths: tuple[str, ...] = ()


def taken_names(kind: Kind) -> tuple[str, ...]:
    """The names that snapshots of this kind keep for themselves."""
    return (*AUDIT_FIELDS, *KIND_FIELDS[kind])

"""The state machine of work items as data: which action leads from where to where, who may do it, what it is called.

Owns the tables that decisions, doors, screens and documentation read; decides nothing itself and does no I/O.
Documents: S3 sections 5, 12, 13; what they leave blank or contradict is settled here once (traps 47 to 54, 61).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from schemas.work_items import Action, Coupling, Source, Status

Role = Literal["viewer", "agent", "supervisor", "admin", "import", "engine"]

STATUSES: tuple[Status, ...] = get_args(Status)
ACTIONS: tuple[Action, ...] = get_args(Action)
WAITING: tuple[Status, ...] = ("waiting_internal", "waiting_customer", "waiting_external")
BEFORE_WORK: frozenset[Status] = frozenset({"draft", "open"})
# Reaching one of these sets closed_at; Archive keeps it; any other status has none.
CLOSING: frozenset[Status] = frozenset({"closed", "canceled", "rejected"})
ENDED: frozenset[Status] = CLOSING | {"archived"}

# Only internal callers send these; Create is never an action of its own but the command CreateWorkItem.
INTERNAL_ACTIONS: frozenset[Action] = frozenset({"Create", "AutoCloseFromWorkflow", "Archive"})
UI_ACTIONS: tuple[Action, ...] = tuple(action for action in ACTIONS if action not in INTERNAL_ACTIONS)


def _from(*sources: Status, to: Status) -> Mapping[Status, Status]:
    return dict.fromkeys(sources, to)


# S3 5.1. 11 states x 14 actions = 154 cells: 33 legal here, 4 quiet no-ops in QUIET, 117 refused.
TRANSITIONS: Mapping[Action, Mapping[Status, Status]] = {
    "Submit": _from("draft", to="open"),
    "Assign": _from("open", "in_progress", to="in_progress"),
    "StartWork": _from("open", to="in_progress"),
    "SetWaitingInternal": _from("in_progress", to="waiting_internal"),
    "SetWaitingCustomer": _from("in_progress", to="waiting_customer"),
    "SetWaitingExternal": _from("in_progress", to="waiting_external"),
    "BackToInProgress": _from(*WAITING, to="in_progress"),
    "Resolve": _from("in_progress", *WAITING, to="resolved"),
    "Close": _from("resolved", to="closed"),
    "Cancel": _from("draft", "open", "in_progress", *WAITING, to="canceled"),
    "Reject": _from("draft", "open", to="rejected"),
    "Reopen": _from("resolved", "closed", to="in_progress"),
    "AutoCloseFromWorkflow": _from("in_progress", *WAITING, "resolved", to="closed"),
    "Archive": _from("closed", "canceled", "rejected", to="archived"),
}

# The engine may be late: nothing happens and nobody is blamed (trap 49).
QUIET: Mapping[Action, frozenset[Status]] = {"AutoCloseFromWorkflow": ENDED}

# Whom an item's end or return concerns (WI-6, traps 51 and 52): for a loose template a closed ticket is no reason to
# stop its instance (S3 8.3), a canceled or rejected one is.
NOTIFIES: Mapping[Action, frozenset[Coupling]] = {
    "Close": frozenset({"strong"}),
    "AutoCloseFromWorkflow": frozenset({"strong"}),
    "Cancel": frozenset({"strong", "loose"}),
    "Reject": frozenset({"strong", "loose"}),
    "Reopen": frozenset({"strong", "loose"}),
}

_DAILY: frozenset[Action] = frozenset(UI_ACTIONS) - {"Reject", "Reopen"} | {"Create"}
PERMISSIONS: Mapping[Role, frozenset[Action]] = {
    "viewer": frozenset(),
    # The daily work. Refusing a request at the door and taking an ended one up again are a supervisor's.
    "agent": _DAILY,
    "supervisor": _DAILY | {"Reject", "Reopen"},
    "admin": frozenset(ACTIONS) - {"AutoCloseFromWorkflow"},
    # Repeats history that happened elsewhere; the only role whose commands may carry `occurredAt`.
    "import": _DAILY | {"Reject", "Reopen"},
    "engine": frozenset(ACTIONS),
}
MAY_READ: frozenset[Role] = frozenset(PERMISSIONS)
MAY_EDIT: frozenset[Role] = frozenset({"agent", "supervisor", "admin", "import", "engine"})
MAY_BACKDATE: frozenset[Role] = frozenset({"import"})


def next_status(action: Action, status: Status) -> Status | None:
    """Where the action leads from this status; None when it is refused or quiet."""
    return TRANSITIONS.get(action, {}).get(status)


def allowed_next_actions(status: Status, roles: Collection[str] | None = None) -> tuple[Action, ...]:
    """What a person may do next from this status (WI-3), in the order of the document; with roles, what these may do."""
    found = (action for action in UI_ACTIONS if status in TRANSITIONS[action])
    return tuple(action for action in found if roles is None or permits(roles, action))


def permits(roles: Collection[str], action: Action) -> bool:
    """True when one of the roles may do the action; unknown roles may do nothing."""
    return any(action in PERMISSIONS.get(role, frozenset()) for role in roles)  # type: ignore[call-overload]


def notifies_workflow(action: Action, coupling: Coupling, source: Source) -> bool:
    """True when the item's instance must follow. What the engine did itself is never told back to it (trap 53)."""
    return source != "WORKFLOW_ENGINE" and coupling in NOTIFIES.get(action, frozenset())


@dataclass(frozen=True, slots=True)
class Label:
    """A name on the screen."""

    vi: str
    en: str


# WI-8, S3 13.2.
STATUS_LABELS: Mapping[Status, Label] = {
    "draft": Label("Nháp", "Draft"),
    "open": Label("Mở", "Open"),
    "in_progress": Label("Đang xử lý", "In progress"),
    "waiting_internal": Label("Chờ nội bộ", "Waiting internally"),
    "waiting_customer": Label("Chờ khách hàng", "Waiting for the customer"),
    "waiting_external": Label("Chờ bên thứ ba", "Waiting for a third party"),
    "resolved": Label("Đã xử lý", "Resolved"),
    "closed": Label("Đã đóng", "Closed"),
    "canceled": Label("Đã huỷ", "Canceled"),
    "rejected": Label("Từ chối", "Rejected"),
    "archived": Label("Lưu trữ", "Archived"),
}


@dataclass(frozen=True, slots=True)
class Control:
    """One thing on the process screen that moves the status: its label, and its action by the item's current status."""

    key: str
    kind: Literal["option", "button"]
    label: Label
    actions: Mapping[Status, Action]

    def choice(self, status: Status, roles: Collection[str] | None = None) -> "Choice":
        """The control as it looks at an item in this status, for these roles."""
        action = self.actions.get(status)
        target = None if action is None else next_status(action, status)
        enabled = action is not None and (roles is None or permits(roles, action))
        return Choice(self.key, self.kind, self.label, action, target or self._usual_target(), enabled)

    def _usual_target(self) -> Status | None:
        targets = {next_status(action, status) for status, action in self.actions.items()}
        return targets.pop() if len(targets) == 1 else None


@dataclass(frozen=True, slots=True)
class Choice:
    """A control at one item: disabled where the current status or the role allows nothing."""

    key: str
    kind: Literal["option", "button"]
    label: Label
    action: Action | None
    target_status: Status | None
    enabled: bool


def choices(status: Status, roles: Collection[str] | None = None) -> tuple[Choice, ...]:
    """Every control of the process screen at an item in this status (WI-9)."""
    return tuple(control.choice(status, roles) for control in CONTROLS)


def _option(key: Status, label: Label, actions: Mapping[Status, Action]) -> Control:
    return Control(key, "option", label, actions)


# WI-9, S3 12.2. Pause is not offered from open: the table of S3 5.1 has no such transition (trap 54).
CONTROLS: tuple[Control, ...] = (
    _option(
        "in_progress",
        STATUS_LABELS["in_progress"],
        {"open": "StartWork", **dict.fromkeys(WAITING, "BackToInProgress")},
    ),
    _option("waiting_internal", STATUS_LABELS["waiting_internal"], {"in_progress": "SetWaitingInternal"}),
    _option("waiting_customer", STATUS_LABELS["waiting_customer"], {"in_progress": "SetWaitingCustomer"}),
    _option("waiting_external", STATUS_LABELS["waiting_external"], {"in_progress": "SetWaitingExternal"}),
    _option("resolved", STATUS_LABELS["resolved"], dict.fromkeys(TRANSITIONS["Resolve"], "Resolve")),
    Control("submit", "button", Label("Gửi yêu cầu", "Send request"), {"draft": "Submit"}),
    Control("pause", "button", Label("Tạm dừng", "Pause"), {"in_progress": "SetWaitingInternal"}),
    Control(
        "close",
        "button",
        Label("Đóng", "Close"),
        {**dict.fromkeys(TRANSITIONS["Cancel"], "Cancel"), "resolved": "Close"},
    ),
)

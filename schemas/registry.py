"""Every topic and group by name: the one place where they are decided. Who may send commands is in `senders`.

Topics are created from here by `casestream topics apply`, never automatically. Partition counts are fixed at birth: a
plain increase would let a key's newer events be applied before its older ones. Names are logical; a cell's prefix is
added at the Kafka clients' edge.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
FOR_EVER_MS = -1
PARTITIONS = 32
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
# The CHECK of outbox_events: a row that a broker could refuse must fail in its writer's transaction, not in the relay.
MAX_EVENT_BYTES = 900_000
# Where handlers of kind kafka are asked.
STEP_REQUESTS = "onboarding.step-requests.v1"
# Whoever may write here answers for steps: its access list is the proof.
STEP_REPLIES = "onboarding.step-replies.v1"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is created. `types`: CloudEvents types on it; `outside_producers`: not only our outbox writes.

    `writer`: the one package whose commands number its aggregates' events; empty where nobody of this house does (yet).
    """

    name: str
    key: str
    types: tuple[str, ...]
    retention_ms: int
    erasure: Literal["none", "shred", "expires"]
    outside_producers: bool = False
    partitions: int = PARTITIONS
    writer: str = ""
    description: str = ""


class Place(NamedTuple):
    """A partition, by its topic's logical name."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group. `inbox`: how long a message without a sequence is remembered (see DESIGN's "Seen").

    `own_keys`: whatever it does has a durable unique key, so that a message which the inbox has forgotten repeats nothing.
    """

    name: str
    topics: tuple[str, ...]
    inbox: Literal["retention", "forever"] = "retention"
    own_keys: bool = False
    rebuilds: bool = False
    description: str = ""


def dlt_topic(topic: str, group: str) -> str:
    """Name of the dead letter topic of a group on a topic: a copy for eyes, never the truth."""
    return f"{topic}.{group}.dlt"


def projection_group(table: str, version: int, topics: tuple[str, ...]) -> Group:
    """The group of one table version: it reads its topics from the first event, on its own."""
    return Group(f"projections.{table}.v{version}", topics, rebuilds=True, description=f"table {table}, version {version}")


def dead_letter_topics(groups: Iterable[Group] | None = None) -> list[Topic]:
    """One per (group, topic), with the same partitions, so that a copy keeps its partition number. None: the registry's."""
    return [
        Topic(
            name=dlt_topic(name, group.name),
            key=TOPICS[name].key,
            types=TOPICS[name].types,
            retention_ms=WEEK_MS,
            erasure="expires",
            partitions=TOPICS[name].partitions,
            description=f"copies of what group {group.name} parked",
        )
        for group in (GROUPS.values() if groups is None else groups)
        for name in group.topics
    ]


TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        Topic(
            "crm.entity.events",
            "tenant|type|id of the entity",
            ("EntityChangeEvent",),
            WEEK_MS,
            "expires",
            outside_producers=True,
            writer="domain.entities",
            description="entity changes from upstream systems and from the entities processor (RU-13)",
        ),
        Topic(
            "crm.entity.commands",
            "tenant|type|id of the entity",
            ("UpdateField", "ChangeStage", "ChangeStatus", "AddTag", "RemoveTag", "AssignTo", "CreateActivity"),
            WEEK_MS,
            "expires",
            writer="domain.entities",
            description="commands to the owner of an entity: its upstream, or group entities where the type is managed",
        ),
        Topic(
            "work-items.commands.v1",
            "tenant|work_item|id",
            ("CreateWorkItem", "ApplyAction"),
            WEEK_MS,
            "expires",
            outside_producers=True,
            writer="domain.work_items",
            description="commands to work items",
        ),
        Topic(
            "work-items.events.v1",
            "tenant|work_item|id",
            (
                "WorkItemDraftSaved",
                "WORK_ITEM_CREATED",
                "WORK_ITEM_STATUS_CHANGED",
                "WorkItemAssigned",
                "WorkItemFieldsChanged",
                "WORK_ITEM_ACTION_REFUSED",
            ),
            FOR_EVER_MS,
            "none",
            writer="domain.work_items",
            description="what happened to work items: ids, codes and times only",
        ),
        Topic(
            "onboarding.commands.v1",
            "tenant|onboarding|instance id",
            (
                "StartInstance",
                "Advance",
                "StepSucceeded",
                "StepFailed",
                "TimerFired",
                "ReviewDecided",
                "CancelInstance",
                "ReopenInstance",
                "CompleteInstance",
            ),
            WEEK_MS,
            "expires",
            outside_producers=True,
            writer="domain.onboarding",
            description="commands to onboarding instances",
        ),
        Topic(
            STEP_REQUESTS,
            "tenant|onboarding|instance id",
            ("StepRequested",),
            WEEK_MS,
            "expires",
            writer="domain.onboarding",
            description="what handlers of kind kafka are asked: ids, and the members of the case that the flow names for them",
        ),
        Topic(
            STEP_REPLIES,
            "tenant|onboarding|instance id",
            ("StepReplied",),
            WEEK_MS,
            "expires",
            outside_producers=True,
            description="what handlers of kind kafka answer; who may write here answers for steps, so few may",
        ),
        Topic(
            "onboarding.events.v1",
            "tenant|onboarding|instance id",
            ("INSTANCE_STATUS_CHANGED", "WORKFLOW_EVENT"),
            FOR_EVER_MS,
            "none",
            writer="domain.onboarding",
            description="what happened to onboarding instances: ids, codes and times only",
        ),
        Topic(
            "effects.events.v1",
            "tenant|owner|id",
            ("EffectSucceeded", "EffectFailed"),
            WEEK_MS,
            "expires",
            writer="domain.effects",
            description="outcomes of effects: ids and codes only",
        ),
        Topic(
            "rules.executions.v1",
            "tenant|type|id of the entity",
            ("RuleRunFinished",),
            WEEK_MS,
            "expires",
            writer="domain.rules",
            description="finished rule runs: ids, codes and counts",
        ),
        Topic(
            "rules.commands.v1",
            "tenant|type|id of the entity",
            ("StartRule",),
            WEEK_MS,
            "expires",
            writer="domain.rules",
            description="orders to let one rule look at one entity: schedules, dates, rules that trigger rules",
        ),
        Topic(
            "case.commands.v1",
            "tenant|case|id",
            ("StoreSnapshot", "RemoveCase"),
            WEEK_MS,
            "expires",
            outside_producers=True,
            description="commands to cases; a snapshot to store is readable here until it expires",
        ),
        Topic(
            "case.snapshots.v1",
            "tenant|case|id",
            ("CaseSnapshotStored", "CaseCommandRefused"),
            FOR_EVER_MS,
            "shred",
            writer="domain.cases",
            description="encrypted case snapshots, and which commands were refused",
        ),
        Topic(
            "audit.heads.v1",
            "tenant|audit_chain|tenant",
            ("AuditHeadSigned",),
            FOR_EVER_MS,
            "none",
            writer="domain.audit",
            description="signed heads of the audit chains: what the database can no longer take back",
        ),
        Topic(
            "ops.alerts.v1",
            "tenant",
            ("OPS_ALERT",),
            WEEK_MS,
            "none",
            outside_producers=True,
            description="windowed alerts of the monitor, which writes them itself: no transaction stands behind them",
        ),
    )
}

WORK_ITEMS = Group(
    "work-items",
    ("work-items.commands.v1", "onboarding.events.v1"),
    inbox="forever",
    description="applies commands to work items; its inbox rows are durable, so an offset moved back repeats nothing",
)

CASES = Group(
    "cases",
    ("case.commands.v1",),
    inbox="forever",
    description="stores case snapshots; its inbox rows are durable, so an offset moved back repeats nothing",
)

ENTITIES = Group(
    "entities",
    ("crm.entity.events", "crm.entity.commands"),
    own_keys=True,
    description="keeps the newest values of every entity, and applies commands to managed types",
)

RULES = Group(
    "workflow-engine",
    ("crm.entity.events", "rules.commands.v1"),
    own_keys=True,
    description="lets rules look at entity changes; a run's id is a durable unique key: an offset moved back repeats nothing",
)

ONBOARDING = Group(
    "onboarding",
    ("onboarding.commands.v1", STEP_REPLIES),
    inbox="forever",
    description="moves onboarding instances; its inbox rows are durable, so an offset moved back repeats nothing",
)

SAGA = Group(
    "saga",
    ("work-items.events.v1",),
    own_keys=True,
    description="turns what happens to work items into commands for the instances behind them; repeated ones change nothing",
)

# A table version is a consumer of its own: another version is one more line here.
PROJECTION_VERSIONS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "work_item_board.v1": ("work_item_board", 1, ("work-items.events.v1",)),
}

GROUPS: dict[str, Group] = {
    group.name: group
    for group in (
        WORK_ITEMS,
        CASES,
        ENTITIES,
        RULES,
        ONBOARDING,
        SAGA,
        *(projection_group(table, version, topics) for table, version, topics in PROJECTION_VERSIONS.values()),
    )
}

# What the role `monitor` counts, and where it tells what passed a limit.
MONITORED_TOPICS = ("onboarding.events.v1", "rules.executions.v1")
ALERTS_TOPIC = "ops.alerts.v1"

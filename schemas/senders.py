"""Every sender of commands over Kafka by its source: the one place where their rights are decided."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Sender:
    """Who may send commands over Kafka, by `ce_source`. Only `internal` ones may AutoClose and Archive."""

    source: str
    roles: frozenset[str] = field(default_factory=frozenset)
    internal: bool = False
    work_item_source: Literal["WORKFLOW_ENGINE", "RULE", "KAFKA", "IMPORT"] = "KAFKA"


def sender(source: str) -> Sender:
    """The registered sender, or a plain external service with the rights of an agent.

    What follows a `#` is the incarnation that a restore to a point in time gave the same sender.
    """
    return SENDERS.get(source.partition("#")[0]) or Sender(source, roles=frozenset({"agent"}))


SENDERS: dict[str, Sender] = {
    sender.source: sender
    for sender in (
        Sender("casestream", frozenset({"engine"}), internal=True, work_item_source="WORKFLOW_ENGINE"),
        Sender("casestream.rules", frozenset({"agent", "rule-runner"}), work_item_source="RULE"),
        Sender("casestream.import", frozenset({"import"}), work_item_source="IMPORT"),
    )
}

"""What a person must see of entities: refused commands, and strangers who write a managed type. Ids and codes only."""

from domain.entities.decisions import Command
from domain.incidents import Incident
from schemas.errors import Rejected

REFUSED = "entity-command-refused"
FOREIGN = "entity-foreign-writer"


def refused_command(rejected: Rejected, command: Command, tenant_id: str) -> Incident:
    """A rule, or whoever sent it, expects a change that will not happen. One incident per type of entity, command and cause."""
    return Incident(
        tenant_id,
        REFUSED,
        f"{command.TYPE}:{rejected.code}",
        f"{command.TYPE} to an entity of type {command.entity_type} was refused: {rejected.code}",
        object_type="entity_type",
        object_id=command.entity_type,
        cure=f"see detail for the last one; {rejected.message}",
        detail={"entityId": command.entity_id, "commandId": command.command_id},
    )


def foreign_writer(tenant_id: str, entity_type: str, source: str) -> Incident:
    """An event of a managed type that we have not written: it was ignored, because an aggregate has one writer."""
    return Incident(
        tenant_id,
        FOREIGN,
        "foreign-writer",
        f"changes of the managed entity type {entity_type} came from another writer and were ignored",
        object_type="entity_type",
        object_id=entity_type,
        cure="stop the upstream that publishes this type, or give the type back: casestream entity-type put --unmanaged",
        detail={"source": source[:100]},
    )

"""The folded instance as bytes, for its row and for snapshots. It holds ids, codes and times only."""

from pydantic import TypeAdapter

from domain.onboarding.instance import Instance

_INSTANCE = TypeAdapter(Instance)


def as_json(instance: Instance) -> bytes:
    return _INSTANCE.dump_json(instance, exclude_defaults=True)


def from_json(text: bytes) -> Instance:
    """Raises pydantic's ValidationError for what is no instance: fold the history instead."""
    return _INSTANCE.validate_json(text)

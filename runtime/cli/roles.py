"""What each role consists of: the one place that wires doors to processes.

A role is `api`, `relay`, `workers`, `work-items`, `projections` (every table version), or one group by its name. Nothing
of a role is imported before it is asked for, so that a process carries only what it runs.
"""

import asyncio
import importlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from runtime.running.process import Part
from runtime.settings import Settings
from schemas.errors import ConfigurationError
from schemas.registry import PROJECTION_VERSIONS, WORK_ITEMS

if TYPE_CHECKING:
    from processors.shell import Processor

Build = Callable[[Settings, int, asyncio.Event], list[Part]]


def parts_of(roles: Iterable[str], settings: Settings, number: int, stop: asyncio.Event) -> list[Part]:
    """The parts of these roles, each once, to run until `stop`. `number` tells processes of one role on one machine apart."""
    found = {part.name: part for role in roles for part in _builder(role)(settings, number, stop)}
    return list(found.values())


def role_names() -> list[str]:
    """Every role, single groups included."""
    return list(dict.fromkeys([*ROLES, *_projections()]))


def check_roles(roles: Iterable[str]) -> None:
    """Raises ConfigurationError that names the unknown ones and those there are."""
    unknown = [role for role in roles if role not in role_names()]
    if unknown:
        raise ConfigurationError([f"role {role}: there is none of this name; there are {_listed()}" for role in unknown])


def _listed() -> str:
    return ", ".join([*role_names(), "all"])


def _builder(role: str) -> Build:
    check_roles([role])
    return ROLES.get(role) or (lambda settings, number, stop: [_projection(settings, role, number, stop)])


def _projections() -> dict[str, tuple[str, int]]:
    """Group name -> table and version."""
    return {f"projections.{name}": (table, version) for name, (table, version, _) in PROJECTION_VERSIONS.items()}


def _api(settings: Settings, number: int, stop: asyncio.Event) -> list[Part]:
    from api.server import run
    from projections.ddl import create_statements

    return [Part("api", "api", lambda: run(settings, stop, statements_of=create_statements), _always, has_page=True)]


def _relay(settings: Settings, number: int, stop: asyncio.Event) -> list[Part]:
    from outbox_relay.relay import run

    return [Part("relay", "scan", lambda: run(settings, stop), _always)]


def _workers(settings: Settings, number: int, stop: asyncio.Event) -> list[Part]:
    from runtime.cli.purgers import PURGERS
    from workers.jobs import run

    return [Part("workers", "scan", lambda: run(settings, stop, PURGERS), _always, needs_keys=True)]


def _work_items(settings: Settings, number: int, stop: asyncio.Event) -> list[Part]:
    from domain.outbox import Outbox
    from processors.work_items import WorkItems

    return [_member(settings, WorkItems(Outbox(settings.ce_source)), number, stop)]


def _all_projections(settings: Settings, number: int, stop: asyncio.Event) -> list[Part]:
    return [_projection(settings, group, number, stop) for group in _projections()]


def _projection(settings: Settings, group: str, number: int, stop: asyncio.Event) -> Part:
    table, version = _projections()[group]
    module, _, attribute = TABLES[table].partition(":")
    build = getattr(importlib.import_module(module), attribute)
    return _member(settings, build(version), number, stop)


def _member(settings: Settings, processor: "Processor[Any, Any]", number: int, stop: asyncio.Event) -> Part:
    """A group's member under its static name: a restart under the same name moves no partition."""
    from processors.shell import GroupMember

    name = processor.group.name
    member = GroupMember(settings, processor, f"{settings.instance}-{name}-{number}", stop)
    return Part(name, "worker", member.run, lambda: member.ready)


def _always() -> bool:
    """A part that is ready as soon as it runs: whatever it lacks, it waits for by itself."""
    return True


ROLES: dict[str, Build] = {
    "api": _api,
    "relay": _relay,
    WORK_ITEMS.name: _work_items,
    "projections": _all_projections,
    "workers": _workers,
}

# A table's consumer, made for one version.
TABLES: dict[str, str] = {"work_item_board": "projections.work_item_board:WorkItemBoard"}

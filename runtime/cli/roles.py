"""What each role consists of: the one place that wires doors to processes.

A role is `api`, `relay`, `workers`, `effects`, `timers`, a group (`work-items`, `cases`, `entities`, `workflow-engine`,
`onboarding`, `saga`), `projections` (every table version), `monitor`, `ddl`, or one table version by its group's name.

Nothing of a role is imported before it is asked for, so that a process carries only what it runs.
"""

import asyncio
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from runtime.running.process import Part
from runtime.settings import Settings
from schemas.errors import ConfigurationError
from schemas.registry import CASES, ENTITIES, ONBOARDING, RULES, SAGA, WORK_ITEMS

if TYPE_CHECKING:
    from processors.shell import Processor

Build = Callable[[Settings, int, asyncio.Event], list[Part]]

# A table version's group.
_VERSION = re.compile(r"projections\.[a-z][a-z0-9_]*\.v[1-9][0-9]*")


def parts_of(roles: Iterable[str], settings: Settings, number: int, stop: asyncio.Event) -> list[Part]:
    """The parts of these roles, each once, to run until `stop`. `number` tells processes of one role on one machine apart."""
    named = list(roles)
    check_roles(named)
    found = {part.name: part for role in named if role in ROLES for part in ROLES[role](settings, number, stop)}
    single = [role for role in named if role not in ROLES]
    if single and "projections" not in named:
        found["projections"] = _fleet(settings, number, stop, single)
        found["rebuilds"] = _rebuilds(settings, stop)
    return list(found.values())


def check_roles(roles: Iterable[str]) -> None:
    """Raises ConfigurationError that names the unknown ones and those there are. Versions are the catalogue's to know."""
    unknown = [role for role in roles if role not in ROLES and not _VERSION.fullmatch(role)]
    if unknown:
        raise ConfigurationError([f"role {role}: there is none of this name; there are {_listed()}" for role in unknown])


def _listed() -> str:
    return ", ".join([*ROLES, "projections.<table>.v<number>", "all"])


def _api(settings: Settings, number: int, stop: asyncio.Event) -> list[Part]:
    from api.server import run
    from projections.ddl import create_statements
    from workers.senders.step_python import load_versions

    async def serve() -> None:
        versions = load_versions(settings.onboarding.handlers)
        await run(settings, stop, statements_of=create_statements, code_versions=versions)

    return [Part("api", "api", serve, _always, has_page=True, needs_keys=True)]


def _relay(settings: Settings, number: int, stop: asyncio.Event) -> list[Part]:
    from outbox_relay.relay import run

    return [Part("relay", "scan", lambda: run(settings, stop), _always)]


def _workers(settings: Settings, number: int, stop: asyncio.Event) -> list[Part]:
    from runtime.cli.effect_kinds import recovery
    from runtime.cli.purgers import PURGERS
    from runtime.keys.ring import open_key_ring
    from workers.jobs import run as work

    async def run() -> None:
        async with open_key_ring(settings) as keys:
            await work(settings, stop, PURGERS, recovery(settings, keys))

    return [Part("workers", "scan", run, _always, needs_keys=True)]


def _effects(settings: Settings, number: int, stop: asyncio.Event) -> list[Part]:
    from runtime.cli.effect_kinds import engine_of, with_onboarding
    from runtime.keys.ring import open_key_ring
    from workers.effects.running import run as work
    from workers.senders.opening import open_python_steps, open_senders

    async def run() -> None:
        async with (
            open_key_ring(settings) as keys,
            open_senders(settings, keys) as senders,
            open_python_steps(settings, engine_of(settings, keys)) as steps,
        ):
            await work(settings, stop, [*senders, steps], with_onboarding(settings, keys))

    return [Part("effects", "scan", run, _always, needs_keys=True)]


def _timers(settings: Settings, number: int, stop: asyncio.Event) -> list[Part]:
    from runtime.cli.effect_kinds import timer_handlers
    from workers.timers import run

    return [Part("timers", "scan", lambda: run(settings, stop, timer_handlers(settings)), _always)]


def _work_items(settings: Settings, number: int, stop: asyncio.Event) -> list[Part]:
    from domain.outbox import Outbox
    from processors.work_items import WorkItems

    return [_member(settings, WorkItems(Outbox(settings.ce_source)), number, stop)]


def _cases(settings: Settings, number: int, stop: asyncio.Event) -> list[Part]:
    from domain.cases.followed_classes import FollowedClasses
    from domain.cases.mapping_store import released_files
    from domain.outbox import Outbox
    from processors.cases import Cases
    from processors.shell import GroupMember
    from runtime.keys.ring import open_key_ring

    members: list[GroupMember] = []

    async def run() -> None:
        async with open_key_ring(settings) as keys:
            processor = Cases(Outbox(settings.ce_source), keys, FollowedClasses(released_files()))
            members.append(GroupMember(settings, processor, f"{settings.instance}-{CASES.name}-{number}", stop))
            await members[0].run()

    return [Part(CASES.name, "worker", run, lambda: bool(members) and members[0].ready, needs_keys=True)]


def _entities(settings: Settings, number: int, stop: asyncio.Event) -> list[Part]:
    from domain.outbox import Outbox
    from processors.entities import Entities

    return [_member(settings, Entities(Outbox(settings.ce_source)), number, stop)]


def _projections(settings: Settings, number: int, stop: asyncio.Event) -> list[Part]:
    return [_fleet(settings, number, stop, []), _rebuilds(settings, stop)]


def _rebuilds(settings: Settings, stop: asyncio.Event) -> Part:
    """Every process of table versions helps with rebuilds, comparisons and switches."""
    from projections.rebuild.running import run

    return Part("rebuilds", "worker", lambda: run(settings, stop), _always, needs_keys=True)


def _fleet(settings: Settings, number: int, stop: asyncio.Event, only: list[str]) -> Part:
    """The consumers of table versions; `only` these groups, or all."""
    from projections.fleet import Fleet

    fleet = Fleet(settings, number, stop, only)
    return Part(",".join(only) or "projections", "worker", fleet.run, lambda: fleet.ready, needs_keys=True)


def _ddl(settings: Settings, number: int, stop: asyncio.Event) -> list[Part]:
    from projections.ddl_role import run

    return [Part("ddl", "migrate", lambda: run(settings, stop), _always)]


def _rules(settings: Settings, number: int, stop: asyncio.Event) -> list[Part]:
    from domain.rules.followed_rules import FollowedRules
    from processors.rules import Rules
    from runtime.cli.effect_kinds import rules_outbox, wiring

    shown = settings.rules.skips_shown_per_minute
    rules = Rules(rules_outbox(settings), wiring(settings), FollowedRules(), skips_shown_per_minute=shown)
    return [_member(settings, rules, number, stop)]


def _onboarding(settings: Settings, number: int, stop: asyncio.Event) -> list[Part]:
    from processors.onboarding import Onboarding
    from processors.shell import GroupMember
    from runtime.cli.effect_kinds import engine_of
    from runtime.keys.ring import open_key_ring

    members: list[GroupMember] = []

    async def run() -> None:
        async with open_key_ring(settings) as keys:
            processor = Onboarding(engine_of(settings, keys))
            members.append(GroupMember(settings, processor, f"{settings.instance}-{ONBOARDING.name}-{number}", stop))
            await members[0].run()

    return [Part(ONBOARDING.name, "worker", run, lambda: bool(members) and members[0].ready, needs_keys=True)]


def _saga(settings: Settings, number: int, stop: asyncio.Event) -> list[Part]:
    from domain.onboarding.definitions import FollowedFlows, released_flows
    from domain.outbox import Outbox
    from processors.saga import Saga

    return [_member(settings, Saga(Outbox(settings.ce_source), FollowedFlows(released_flows())), number, stop)]


def _monitor(settings: Settings, number: int, stop: asyncio.Event) -> list[Part]:
    from processors.monitor.app import Monitor

    monitor = Monitor(settings, stop)
    return [Part("monitor", "scan", monitor.run, lambda: monitor.ready)]


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
    CASES.name: _cases,
    ENTITIES.name: _entities,
    RULES.name: _rules,
    ONBOARDING.name: _onboarding,
    SAGA.name: _saga,
    "projections": _projections,
    "effects": _effects,
    "timers": _timers,
    "workers": _workers,
    "monitor": _monitor,
    "ddl": _ddl,
}

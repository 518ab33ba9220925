"""Rules over a batch of messages, as the Kafka door's shell calls it: load, decide each in order, save.

    message -> rules of the tenant's index that match -> admission, in priority order -> runs with their effects

All rules of one event see that event's values. What matched is found in `load`, since whose guards to lock depends on it;
finding it is pure. `save` writes the runs, plans their effects, and goes on with those that need no network.
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from domain.effects.advancing import advance, lock_owners
from domain.effects.commands import plan
from domain.effects.wiring import Wiring
from domain.incidents import Incident, open_incidents
from domain.message_templates.wording import Wording
from domain.outbox import Outbox
from domain.rules import run_store
from domain.rules.admission import TROUBLES, Guard, Refused, admit, link
from domain.rules.calendar import Calendar
from domain.rules.compiling import CompiledRule
from domain.rules.dating import Dates, dates_of
from domain.rules.followed_rules import FollowedRules
from domain.rules.matching import Looked, Occasion, SkipReason, look
from domain.rules.run_store import GuardKey, RunKey, guard_key
from domain.rules.sampling import Sample
from domain.rules.starting import OWNER, Held, Match, NewRun, start
from domain.rules.wordings import read_wordings
from domain.timers.commands import arm, disarm
from domain.timers.timer import Timer
from runtime.sql import Connection

# Tenant, entity type, entity id.
Key = tuple[str, str, str]

_NO_CALENDAR = Calendar()
_NO_RULES: Mapping[str, CompiledRule] = {}
_NO_DATES = Dates()


@dataclass(frozen=True, slots=True)
class State:
    """What is known of one entity: by the token of each occasion which rules match and how many do not; what they did to it,
    which runs exist, which rules hang on one of its dates, and the stored messages that the matching rules send."""

    looked: Mapping[tuple[str, str], Looked]
    calendar: Calendar
    guards: Mapping[GuardKey, Guard] = field(default_factory=dict)
    existing: frozenset[RunKey] = frozenset()
    dated: tuple[CompiledRule, ...] = ()
    templates: Mapping[str, Wording] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ruling:
    """One occasion decided: what runs, what was held back, what becomes of timers, and what did not match."""

    occasion: Occasion
    skipped: Mapping[SkipReason, int]
    runs: tuple[NewRun, ...] = ()
    held: tuple[Held, ...] = ()
    guards: Mapping[GuardKey, Guard] = field(default_factory=dict)
    dates: Dates = _NO_DATES

    @property
    def is_idle(self) -> bool:
        """Nothing but skips to count."""
        return not (self.runs or self.held or self.dates.armed or self.dates.disarmed)


async def load(conn: Connection, rules: FollowedRules, occasions: Sequence[Occasion]) -> dict[Key, State]:
    """Match, then lock what the matches need. Every occasion's entity has a state, unless all that it saw is old."""
    occasions = [occasion for occasion in occasions if not occasion.replayed]
    if not occasions:
        return {}
    book = await rules.read(conn, {occasion.change.tenant_id for occasion in occasions})
    found: dict[Key, dict[tuple[str, str], Looked]] = {}
    for occasion in occasions:
        # Of one that comes twice in a batch the first counts, as in the inbox.
        found.setdefault(occasion.key, {}).setdefault(occasion.token, look(book, occasion))
    states = {
        key: State(several, book.calendars.get(key[0], _NO_CALENDAR), dated=tuple(book.dated.get(key[:2], _NO_RULES).values()))
        for key, several in found.items()
    }
    # Most entities meet no rule: then that is all.
    met = {key: matches for key, several in found.items() if (matches := list(_flat(several)))}
    return states | await _with_what_rules_did(conn, {key: states[key] for key in met}, met)


async def _with_what_rules_did(
    conn: Connection, states: Mapping[Key, State], met: Mapping[Key, Sequence[Match]]
) -> dict[Key, State]:
    """The states of entities that meet rules, with what those must know, whose guards are locked."""
    all_met = [match for matches in met.values() for match in matches]
    existing = await run_store.existing_runs(conn, all_met)
    guards = await run_store.lock_guards(conn, [guard_key(match) for match in all_met if _run_key(match) not in existing])
    templates = await read_wordings(conn, [match.rule for match in all_met])
    return {
        key: replace(
            states[key],
            guards={guard_key(match): guards[guard_key(match)] for match in matches if guard_key(match) in guards},
            existing=frozenset(_run_key(match) for match in matches) & existing,
            templates=templates.get(key[0], {}),
        )
        for key, matches in met.items()
    }


def decide(state: State | None, occasion: Occasion, now: datetime) -> tuple[State | None, Ruling]:
    """Which of the matching rules run, in their order; `now` is the database's time at the beginning of the batch."""
    if occasion.replayed:
        return state, Ruling(occasion, {"replayed": 1})
    assert state is not None, "load gives every entity of which it hears something new a state"
    looked = state.looked[occasion.token]
    dates = _NO_DATES if occasion.direct or not state.dated else dates_of(state.dated, occasion, now, state.calendar)
    if not looked.matches:
        return state, Ruling(occasion, looked.skipped, dates=dates)
    guards, started, held = dict(state.guards), list[NewRun](), list[Held]()
    known = set(state.existing)
    for match in looked.matches:
        if _run_key(match) in known:
            continue
        limit = match.rule.definition.max_executions_per_entity
        verdict = admit(match.rule.rule_id, limit, match.change.causation, guards[guard_key(match)], now)
        if isinstance(verdict, Refused):
            held.append(Held(match, verdict, now))
            known.add(_run_key(match))
            continue
        guards[guard_key(match)] = verdict
        known.add(_run_key(match))
        started.append(start(match, now, state.calendar, state.templates))
    changed = {key: guard for key, guard in guards.items() if state.guards[key] != guard}
    after = replace(state, guards=guards, existing=frozenset(known))
    return after, Ruling(occasion, looked.skipped, tuple(started), tuple(held), changed, dates)


async def save(
    conn: Connection, outbox: Outbox, wiring: Wiring, rulings: Sequence[Ruling], samples: Sequence[Sample] = ()
) -> None:
    """Write what was ruled, in the order of the messages, and perform what is due and needs no network."""
    rulings = [ruling for ruling in rulings if not ruling.is_idle]
    runs = [run for ruling in rulings for run in ruling.runs]
    guards = {key: guard for ruling in rulings for key, guard in ruling.guards.items()}
    await run_store.save_guards(conn, guards)
    await run_store.insert_runs(conn, runs)
    await run_store.insert_held(conn, [held for ruling in rulings for held in ruling.held])
    await plan(conn, [effect for run in runs for effect in run.effects])
    waves = _waves(runs, wiring.internals)
    if len(waves) > 1:
        # Each wave locks its own; only all at once have one order.
        await lock_owners(conn, wiring, {(run.match.change.tenant_id, OWNER, str(run.match.run_id)) for run in runs})
    for wave in waves:
        await advance(conn, outbox, wiring, [(run.match.change.tenant_id, OWNER, str(run.match.run_id)) for run in wave])
    # Timers come last in the order of locks; of two events of an entity the later one counts.
    timers: dict[tuple[str, str], Timer | int] = {}
    for ruling in rulings:
        timers |= dict(ruling.dates.disarmed) | {(one.tenant_id, one.key): one for one in ruling.dates.armed}
    await disarm(conn, {key: timer for key, timer in timers.items() if isinstance(timer, int)})
    await arm(conn, [timer for timer in timers.values() if isinstance(timer, Timer)])
    await open_incidents(conn, [alarm for ruling in rulings for alarm in _alarms(ruling)])
    # Last of all: two members may want to show a skip of the same tenant at once, and one waits for the other's end.
    await run_store.insert_samples(conn, samples)


def _waves(runs: Sequence[NewRun], internals: Container[str]) -> list[list[NewRun]]:
    """The runs in which something needs no network: the first of each entity, then the second of each, and so on.

    What an earlier run asks for is said first (P4). Of calls alone nothing follows here: `plan` has put them in their lines.
    """
    waves: list[list[NewRun]] = []
    turns: Counter[tuple[str, str]] = Counter()
    for run in runs:
        if any(effect.kind in internals for effect in run.effects):
            entity = (run.match.change.tenant_id, run.match.entity_key)
            if turns[entity] == len(waves):
                waves.append([])
            waves[turns[entity]].append(run)
            turns[entity] += 1
    return waves


def _alarms(ruling: Ruling) -> Iterable[Incident]:
    for held in ruling.held:
        if held.refused.reason in TROUBLES:
            yield _loop(held.match, held.refused)


def _loop(match: Match, refused: Refused) -> Incident:
    chain = [*match.change.causation, link(match.rule.rule_id)]
    return Incident(
        tenant_id=match.change.tenant_id,
        kind="rule-loop",
        fingerprint=f"rule-loop|{refused.reason}",
        object_type="rule",
        object_id=match.rule.rule_id,
        summary=_LOOPS[refused.reason],
        cure=f"casestream rule show {match.rule.rule_id}; break the circle, or deactivate one of its rules",
        detail={"chain": chain, "entityType": match.change.entity_type},
    )


_LOOPS = {
    "own-chain": "a rule would have started itself again through what it did; its run was held back",
    "chain-depth": "a chain of rules that start each other became too long; the next run was held back",
    "rate": "a rule ran too often for one entity within ten minutes; further runs are held back until the window is over",
}


def _run_key(match: Match) -> RunKey:
    return (match.change.tenant_id, str(match.run_id))


def _flat(several: Mapping[tuple[str, str], Looked]) -> Iterable[Match]:
    return (match for looked in several.values() for match in looked.matches)

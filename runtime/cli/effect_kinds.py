"""Which effects and timers there are: who performs, who owns, who handles. The one place where they are wired; who calls is in
workers/senders/opening.py, because senders are opened and closed."""

from dataclasses import replace

from domain.cases.followed_classes import FollowedClasses
from domain.cases.mapping_store import released_files
from domain.effects.wiring import DELAY, Wiring, perform_delay
from domain.notifications.performing import KIND as NOTIFICATION
from domain.notifications.performing import notify
from domain.onboarding.calls import KIND
from domain.onboarding.calls import OWNER as INSTANCE
from domain.onboarding.definitions import FollowedFlows, released_flows
from domain.onboarding.engine import Engine
from domain.onboarding.firing import Firing
from domain.onboarding.folding import InstanceFold
from domain.onboarding.recording import StepRecording
from domain.onboarding.recovering import Recovery
from domain.onboarding.sealing import Keys
from domain.outbox import Outbox
from domain.rules.folding import RunFold
from domain.rules.followed_rules import FollowedRules
from domain.rules.performing import Performer
from domain.rules.round_robin import hold
from domain.rules.schedules import Schedules
from domain.rules.starting import OWNER
from domain.timers.timer import Handler
from runtime.settings import Settings
from workers.senders.step_python import load_versions


def wiring(settings: Settings) -> Wiring:
    """Owners, and kinds that need no network: the same in the rules group, which begins runs, and in the worker."""
    outbox = rules_outbox(settings)
    internals = {DELAY: perform_delay, NOTIFICATION: notify, **Performer(outbox).kinds}
    return Wiring({OWNER: RunFold(outbox)}, {OWNER: hold}, internals)


def with_onboarding(settings: Settings, keys: Keys) -> Wiring:
    """The same with the owner of steps' calls, for the worker: what handlers gave is sealed and opened there."""
    known = wiring(settings)
    engine = engine_of(settings, keys)
    # Instances tell what their steps came to themselves, and raise incidents when their retries are spent.
    return replace(
        known,
        owners={**known.owners, INSTANCE: InstanceFold(engine)},
        discreet=frozenset({INSTANCE}),
        followed=frozenset({KIND["python"]}),
        recordings={INSTANCE: StepRecording(engine)},
        takeovers={INSTANCE: Recovery(engine).take_over},
    )


def recovery(settings: Settings, keys: Keys) -> Recovery:
    """What takes instances up again, for the scan and for workers that take calls over."""
    return Recovery(engine_of(settings, keys))


def engine_of(settings: Settings, keys: Keys) -> Engine:
    """What moves instances, with the flows and case classes of the release beneath those of the database."""
    return Engine(
        Outbox(settings.ce_source),
        keys,
        FollowedFlows(released_flows()),
        FollowedClasses(released_files()),
        load_versions(settings.onboarding.handlers),
    )


def timer_handlers(settings: Settings) -> dict[str, Handler]:
    """What a due timer of each kind does."""
    rules = Schedules(rules_outbox(settings), FollowedRules()).handlers
    return {**rules, **Firing(Outbox(settings.ce_source)).handlers}


def rules_outbox(settings: Settings) -> Outbox:
    """What rules do is said under a sender of its own: work items know it as RULE, and it is nobody's internal engine."""
    name, mark, incarnation = settings.ce_source.partition("#")
    return Outbox(f"{name}.rules{mark}{incarnation}")

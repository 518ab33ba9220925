"""A world that carries out orders, badly: calls fail, hang, succeed late; messages come twice and out of order; processes die.

Every decision is made on the instance as folded anew from the stored history, as after a crash, and checked:

1. the same command on the same instance decides the same, and changes nothing of what it was given;
2. numbers are gapless, and the instance is the fold of its history;
3. what was ordered so far, minus what was taken back, is what the instance wants;
4. no undo begins while a call of its forward step is open;
5. after an end nothing but the way back moves.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from domain.onboarding import folded
from domain.onboarding.decisions import decide
from domain.onboarding.evolving import fold
from domain.onboarding.flow import FlowKey, flows_of
from domain.onboarding.history import Recorded, recorded
from domain.onboarding.instance import FINAL, Instance
from domain.onboarding.orders import ArmTimer, CancelCall, Lasting, RunStep, apply_orders, wanted
from domain.onboarding.replay import replay
from domain.onboarding.turn import Context, Decided, Outcome
from schemas.flows import Actor, FlowDefinition
from schemas.onboarding import (
    Advance,
    ApproveCompensationInput,
    CancelInstance,
    Command,
    CompleteInstance,
    MarkCompensated,
    ProposeCompensationInput,
    Recover,
    ReopenInstance,
    RetryCompensation,
    RetryStep,
    ReviewDecided,
    StartInstance,
    StepFailed,
    StepSucceeded,
    TimerFired,
)
from schemas.workflow_events import ActionAccepted, SagaCompensation, StateEntered, StepStarted, WorkflowEvent

ID = "i-1"
START = datetime(2026, 1, 5, 8, tzinfo=UTC)
SYSTEM, USER, OPERATOR, REVIEWER = "SYSTEM", "USER", "OPERATOR", "REVIEWER"
Call = tuple[int, int]


@dataclass
class World:
    """`done`, `undone`: how often each forward step was carried out and undone outside, in the order of `log`."""

    definition: FlowDefinition
    random: Random
    now: datetime = START
    history: list[Recorded] = field(default_factory=list)
    standing: dict[object, Lasting] = field(default_factory=dict)
    planned: dict[Call, RunStep] = field(default_factory=dict)
    claimed: dict[Call, RunStep] = field(default_factory=dict)
    thought_dead: dict[Call, RunStep] = field(default_factory=dict)
    log: list[tuple[str, int]] = field(default_factory=list)
    sent: list[tuple[Command, Context]] = field(default_factory=list)
    cycle: int = 0

    def __post_init__(self) -> None:
        self.flows = flows_of(self.definition)
        start = StartInstance(instance_id=ID, flow=self.definition.flow, flow_version=1, user_id="u-1")
        self.give(start, self.context("u-1", USER))

    @property
    def instance(self) -> Instance | None:
        return fold(row.event for row in self.history)

    def context(self, by: str, *actors: Actor) -> Context:
        return Context("acme", by, frozenset(actors), self.now, self.random.random())

    # -- one step of the world

    def give(self, command: Command, context: Context) -> Outcome:
        """A command to the engine, and its orders to the world; checked."""
        before = self.instance
        frozen = None if before is None else folded.as_json(before)
        outcome = decide(self.flows, before, command, context)
        assert outcome == decide(self.flows, self.instance, command, context), "a crash before the commit changes nothing"
        if before is not None:
            assert folded.as_json(before) == frozen, "what was given was changed"
        self.sent.append((command, context))
        if isinstance(command, StepSucceeded | StepFailed):
            self.standing.pop(("call", int(command.step), command.attempt), None)
        if isinstance(outcome, Decided):
            self._commit(before, outcome, command, context)
        return outcome

    def _commit(self, before: Instance | None, outcome: Decided, command: Command, context: Context) -> None:
        version = 0 if before is None else before.version
        assert outcome.events, "a decision without an event is no decision"
        self._check_way(before, outcome.events)
        self.history += recorded(outcome.events, version, command, context)
        assert [row.number for row in self.history] == list(range(1, len(self.history) + 1)), "numbers are gapless"
        after = self.instance
        assert after == outcome.instance, "the instance is the fold of its history"
        assert after is not None
        assert folded.from_json(folded.as_json(after)) == after, "it survives its row"
        apply_orders(self.standing, outcome.orders)
        assert self.standing == wanted(after), f"{command.TYPE}: orders and wants differ"
        for order in outcome.orders:
            if isinstance(order, RunStep) and (order.step, order.attempt) not in self.claimed:
                self.planned[order.step, order.attempt] = order
        for order in outcome.orders:
            if isinstance(order, CancelCall) and self.planned.pop((order.step, order.attempt), None) is not None:
                self.give(self._failed((order.step, order.attempt), called=False), self.context("engine", SYSTEM))

    def _check_way(self, before: Instance | None, events: tuple[WorkflowEvent, ...]) -> None:
        instance = before
        for event in events:
            if isinstance(event, StepStarted) and event.undoes is not None and event.attempt == 1:
                assert instance is not None
                assert not instance.steps[event.undoes].open, "an undo overtakes its forward call"
            if before is not None and before.ending is not None and not self._reopens(events):
                forward = isinstance(event, StepStarted) and event.undoes is None
                assert not forward, "a forward step after the end"
                assert not isinstance(event, ActionAccepted | StateEntered), "a move after the end"
            instance = fold([event], instance)

    @staticmethod
    def _reopens(events: tuple[WorkflowEvent, ...]) -> bool:
        return any(event.TYPE == "WORKFLOW_REOPENED" for event in events)

    # -- what may happen

    def tick(self) -> None:
        """Something happens."""
        happening = self.random.choice(
            (self.call, self.call, self.call, self.call, self.call, self.time, self.user, self.user, self.user, self.person)
            + (self.operator, self.operator, self.repeat, self.repeat, self.late, self.recover, self.cancel_or_reopen)
        )
        happening()

    def call(self) -> None:
        """A worker takes a call, or one ends."""
        if self.planned and (not self.claimed or self.random.random() < 0.5):
            call = self.random.choice(sorted(self.planned))
            self.claimed[call] = self.planned.pop(call)
        elif self.claimed:
            call = self.random.choice(sorted(self.claimed))
            self.end(call, self.claimed.pop(call))

    def end(self, call: Call, order: RunStep, luck: float | None = None) -> None:
        """Done, refused, not now, or nobody knows whether it was done."""
        luck = self.random.random() if luck is None else luck
        if luck < 0.55:
            self.carry_out(order)
            named = self.flows[FlowKey(self.definition.flow, 1)].moves[order.state, order.action].outcomes
            outcome = "OTHER" if self.random.random() < (0.5 if named else 0.05) else None
            command: Command = StepSucceeded(
                instance_id=ID, step=str(call[0]), attempt=call[1], effect_id="e", outcome=outcome, data={"canary": 1}
            )
        elif luck < 0.75:
            command = self._failed(call, retryable=True)
        elif luck < 0.85:
            command = self._failed(call, retryable=False)
        else:
            if self.random.random() < 0.5:
                self.carry_out(order)
            elif order.undoes is None:
                self.thought_dead[call] = order
            command = self._failed(call, unknown=True)
        self.give(command, self.context("engine", SYSTEM))

    def carry_out(self, order: RunStep) -> None:
        """The other side does it, once for each id."""
        entry = ("do", order.step) if order.undoes is None else ("undo", order.undoes)
        if order.undoes is not None or entry not in self.log:
            self.log.append(entry)

    def late(self) -> None:
        """A call that was given up succeeds after all."""
        if self.thought_dead and self.random.random() < 0.3:
            call = self.random.choice(sorted(self.thought_dead))
            order = self.thought_dead.pop(call)
            self.log.append(("do", order.step))
            self.give(
                StepSucceeded(instance_id=ID, step=str(call[0]), attempt=call[1], effect_id="e"),
                self.context("engine", SYSTEM),
            )

    def time(self) -> None:
        """The next timer, or one that was taken back and fires all the same."""
        timers = [order for order in self.standing.values() if isinstance(order, ArmTimer)]
        if timers:
            timer = min(timers, key=lambda order: (order.due_at, order.name))
            if timer.name == "expiry" and self.random.random() < 0.8:
                return  # or few lives would be long
            self.now = max(self.now, timer.due_at)
            self.give(TimerFired(instance_id=ID, timer=timer.name, state_entry=timer.entry), self.context("engine", SYSTEM))
        else:
            self.now += timedelta(seconds=self.random.randint(1, 60))

    def user(self) -> None:
        """The right action, another one, or somebody else's."""
        instance = self.instance
        assert instance is not None
        action = self.random.choice(("NEXT", "NEXT", "NEXT", "BACK", "APPROVE"))
        by = self.random.choice(("u-1", "u-1", "u-1", "u-2"))
        expected = self.random.choice((None, instance.version, max(instance.version - 1, 1)))
        self.give(Advance(instance_id=ID, action=action, expected_version=expected), self.context(by, USER))

    def person(self) -> None:
        """A reviewer decides, perhaps a task of before."""
        instance = self.instance
        assert instance is not None
        if instance.tasks:
            decision = self.random.choice(("approve", "approve", "reject", "return"))
            task = max(instance.tasks - self.random.choice((0, 0, 0, 1)), 1)
            command = ReviewDecided(instance_id=ID, work_item_id="w", decision=decision, decided_by="r", task=task)
            self.give(command, self.context("r", REVIEWER))

    def operator(self) -> None:
        """One of the orders of an operator, whether it fits or not."""
        instance = self.instance
        assert instance is not None
        if instance.status not in ("INCIDENT", "COMPENSATION_FAILED") and self.random.random() < 0.8:
            return
        proposal = instance.proposal.number if instance.proposal else 1
        if instance.proposal is not None and self.random.random() < 0.5:
            approve = ApproveCompensationInput(instance_id=ID, proposal=proposal)
            self.give(approve, self.context("o-1" if instance.proposal.by == "o-2" else "o-2", OPERATOR))
            return
        command: Command = self.random.choice(
            (
                RetryStep(instance_id=ID, reason="mended"),
                ProposeCompensationInput(instance_id=ID, reason="wrong account"),
                RetryCompensation(instance_id=ID, reason="mended"),
                MarkCompensated(instance_id=ID, reason="by hand"),
                ProposeCompensationInput(instance_id=ID, reason="wrong account", data={"canary": 1}),
                ApproveCompensationInput(instance_id=ID, proposal=proposal),
            )
        )
        self.give(command, self.context(self.random.choice(("o-1", "o-2")), OPERATOR))

    def repeat(self) -> None:
        """A message of before comes again; an action says which version it saw, as the door makes it do."""
        command, context = self.random.choice(self.sent)
        if isinstance(command, Advance) and command.expected_version is None:
            return
        self.give(command, context)

    def recover(self) -> None:
        """A scan."""
        self.give(Recover(instance_id=ID, cause="lease-expired"), self.context("engine", SYSTEM))

    def cancel_or_reopen(self) -> None:
        """Seldom."""
        if self.random.random() < 0.08:
            self.give(CancelInstance(instance_id=ID, reason="no longer wanted"), self.context("u-1", USER))
        elif self.random.random() < 0.05:
            self.give(CompleteInstance(instance_id=ID, cycle=self.cycle), self.context("engine", SYSTEM))
        elif self.random.random() < 0.2:
            self.cycle += 1
            self.give(ReopenInstance(instance_id=ID, cycle=self.cycle), self.context("engine", SYSTEM))

    def _failed(self, call: Call, *, retryable: bool = True, unknown: bool = False, called: bool = True) -> StepFailed:
        return StepFailed(
            instance_id=ID,
            step=str(call[0]),
            attempt=call[1],
            effect_id="e",
            code="refused" if called else "canceled",
            retryable=retryable,
            unknown=unknown,
            called=called,
        )

    # -- the end of the world

    def settle(self) -> None:
        """Everything ends well from here on: the instance is ended, and every call with it."""
        for _ in range(500):
            instance = self.instance
            assert instance is not None
            if instance.ending is None:
                # A circle of steps that succeed would go round for ever.
                self.give(CancelInstance(instance_id=ID, reason="the test is over"), self.context("o-1", OPERATOR))
            elif self.planned:
                call = min(self.planned)
                self.claimed[call] = self.planned.pop(call)
            elif self.claimed:
                call = min(self.claimed)
                self.end(call, self.claimed.pop(call), luck=0.0)
            elif self.thought_dead:
                call = min(self.thought_dead)
                self.log.append(("do", self.thought_dead.pop(call).step))
                self.give(
                    StepSucceeded(instance_id=ID, step=str(call[0]), attempt=call[1], effect_id="e"),
                    self.context("engine", SYSTEM),
                )
            elif instance.status in FINAL:
                return
            elif instance.status == "COMPENSATION_FAILED":
                self.give(RetryCompensation(instance_id=ID, reason="mended"), self.context("o-1", OPERATOR))
            else:
                self.time()
        raise AssertionError("it never settles")

    def check_end(self) -> None:
        """What was done outside was undone, in reverse order; nothing else was; and a replay says the same."""
        instance = self.instance
        assert instance is not None
        if instance.status != "COMPLETED":
            self._check_undone(instance)
        found = replay(self.history, self.flows)
        assert found.divergence is None, found.divergence
        assert found.instance == instance

    def _check_undone(self, instance: Instance) -> None:
        events = [row.event for row in self.history]
        compensable = {event.step for event in events if isinstance(event, StepStarted) and event.compensation is not None}
        marked = {event.undoes for event in events if isinstance(event, SagaCompensation) and event.phase == "marked"}
        for number in compensable - marked:
            entries = [what for what, step in self.log if step == number]
            if "do" in entries:
                assert entries[-1] == "undo", f"step {number} was done and not undone: {entries}"
        for number in {step for what, step in self.log if what == "undo"}:
            assert number in compensable
        self._check_order(events, instance)

    def _check_order(self, events: list[WorkflowEvent], instance: Instance) -> None:
        saga = [event for event in events if isinstance(event, SagaCompensation)]
        begun = [index for index, event in enumerate(saga) if event.phase == "started"]
        if not begun:
            return
        last = saga[begun[-1] :]
        # A call that succeeded after all is undone when that is known: only then the order may turn.
        undoing = [event.undoes or 0 for event in last if event.phase == "undoing"]
        surprises = sum(event.phase == "again" for event in last) + max(0, max(Counter(undoing).values(), default=0) - 1)
        if not surprises:
            assert undoing == sorted(undoing, reverse=True), "compensations run in reverse order"
            assert len(undoing) == len(set(undoing))
            owed = {step.number for step in instance.steps.values() if step.compensation is not None and step.possible}
            assert set(undoing) == owed, "exactly what was or may have been done is undone"


def live(random: Random, definition: FlowDefinition, ticks: int) -> World:
    """A whole life, checked."""
    world = World(definition, random)
    for _ in range(ticks):
        world.tick()
    world.settle()
    world.check_end()
    return world

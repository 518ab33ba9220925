"""Everything that is wrong with a flow definition, all at once; what passes can be compiled and run.

| what | why it matters |
|---|---|
| names that are said twice or lead nowhere | nobody would know which one counts |
| states that cannot be reached, or have no way to an end | an instance would never come, or never leave |
| handlers that are not declared or not installed, topics and secrets that are not there | the step would become an incident |
| steps with effects and no compensation | the saga could not undo them |
| decisions, automatic transitions and limits that contradict each other | something would never happen, or never end |
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from domain.lined_yaml import Place
from domain.onboarding.flows.problems import Problem
from domain.onboarding.flows.reaching import Way, endless, leading_to, reached, ways
from domain.onboarding.reviewing import ACTIONS
from domain.shape_words import Sentences, words_of
from schemas.flows import FlowDefinition, Handler, Reminder, Sla, Transition
from schemas.registry import STEP_REQUESTS


def check_document(document: Any, installed: frozenset[str] | None = None) -> tuple[FlowDefinition | None, list[Problem]]:
    """A definition as somebody wrote it: the model, unless its shape is wrong, and all problems.

    Where the shape of some parts is wrong, the others are checked all the same, so that nobody has to mend twice.
    """
    try:
        definition = FlowDefinition.model_validate(document)
    except ValidationError as error:
        return None, [*_shapes(error), *_problems_of_the_rest(document, error, installed)]
    return definition, check(definition, installed)


def check(definition: FlowDefinition, installed: frozenset[str] | None = None) -> list[Problem]:
    """All problems of a definition. `installed`: the python handlers that there are; None: not looked up."""
    found = list(ways(definition))
    return [
        *_twice(definition),
        *_unknown_states(definition, found),
        *_unreached(definition, found),
        *_handlers(definition, installed),
        *_moves(definition),
        *_reviews(definition),
        *_times(definition),
        *_persist_points(definition),
    ]


def _shapes(error: ValidationError) -> list[Problem]:
    found: dict[tuple[Place, str], Problem] = {}
    items = error.errors(include_url=False, include_input=False)
    for item in items:
        if item["type"] == "too_short" and any(len(other["loc"]) > len(item["loc"]) for other in _within(items, item["loc"])):
            continue  # its entries were left out because they are wrong themselves
        english, vietnamese = words_of(item, _OF_FLOWS)
        place = tuple(part for part in item["loc"] if part != "[key]")
        found[place, english] = Problem(place, "shape", {"what": english, "what_vi": vietnamese})
    return list(found.values())


def _within(items: list[ErrorDetails], place: Place) -> Iterator[ErrorDetails]:
    return (item for item in items if item["loc"][: len(place)] == place)


def _problems_of_the_rest(document: Any, error: ValidationError, installed: frozenset[str] | None) -> Iterator[Problem]:
    """Of the parts whose shape is right, what is wrong with them whatever the others turn out to say."""
    if not isinstance(document, dict):
        return
    broken = {item["loc"][:2] for item in error.errors(include_url=False, include_input=False)}
    kept: dict[str, list[int]] = {}
    rest = dict(document)
    for kind in ("states", "transitions", "handlers"):
        listed = document.get(kind)
        if isinstance(listed, list):
            kept[kind] = [number for number in range(len(listed)) if (kind, number) not in broken]
            rest[kind] = [listed[number] for number in kept[kind]]
    try:
        definition = FlowDefinition.model_validate(rest)
    except ValidationError:
        return
    for problem in check(definition, installed):
        if problem.code not in _DEPEND_ON_OTHERS:
            kind, number = str(problem.place[0]), int(problem.place[1])
            yield Problem((kind, kept[kind][number], *problem.place[2:]), problem.code, problem.params)


def _twice(definition: FlowDefinition) -> Iterator[Problem]:
    for kind, code in (("states", "state-twice"), ("handlers", "handler-twice")):
        seen: set[str] = set()
        for number, part in enumerate(getattr(definition, kind)):
            if part.name in seen:
                yield Problem((kind, number, "name"), code, {"name": part.name})
            seen.add(part.name)
    moves: set[tuple[str, str]] = set()
    for number, move in enumerate(definition.transitions):
        if (move.from_state, move.action) in moves:
            params = {"state": move.from_state, "action": move.action}
            yield Problem(("transitions", number, "action"), "transition-twice", params)
        moves.add((move.from_state, move.action))


def _unknown_states(definition: FlowDefinition, found: Iterable[Way]) -> Iterator[Problem]:
    names = {state.name for state in definition.states}
    said: list[tuple[Place, str | None]] = [(("initial",), definition.initial), (("reopenTo",), definition.reopen_to)]
    said += [(("transitions", number, "from"), move.from_state) for number, move in enumerate(definition.transitions)]
    said += [(way.place, way.target) for way in found]
    told: set[Place] = set()
    for place, name in said:
        if name is not None and name not in names and place not in told:
            told.add(place)
            yield Problem(place, "unknown-state", {"name": name})


def _unreached(definition: FlowDefinition, found: list[Way]) -> Iterator[Problem]:
    starts = [name for name in (definition.initial, definition.reopen_to) if name is not None]
    here = reached(found, starts)
    out = leading_to(found, (state.name for state in definition.states if state.end is not None))
    leaving = {move.from_state for move in definition.transitions}
    for number, state in enumerate(definition.states):
        place = ("states", number, "name")
        if state.name not in here:
            yield Problem(place, "unreachable", {"name": state.name, "initial": definition.initial})
        if state.end is not None:
            continue
        if state.name not in leaving:
            yield Problem(place, "dead-end", {"name": state.name})
        elif state.name not in out:
            yield Problem(place, "no-way-out", {"name": state.name})


def _handlers(definition: FlowDefinition, installed: frozenset[str] | None) -> Iterator[Problem]:
    declared = {handler.name: handler for handler in definition.handlers}
    used: set[str] = set()
    for number, move in enumerate(definition.transitions):
        for word, name in (("handler", move.handler), ("compensation", move.compensation)):
            if name is None:
                continue
            used.add(name)
            if name not in declared:
                yield Problem(("transitions", number, word), "unknown-handler", {"name": name})
        effects = move.handler in declared and declared[move.handler].effects
        if effects and move.compensation is None and move.irreversible is None:
            yield Problem(("transitions", number, "handler"), "no-compensation", {"name": str(move.handler)})
    for number, handler in enumerate(definition.handlers):
        place = ("handlers", number, "name")
        if handler.name not in used:
            yield Problem(place, "handler-unused", {"name": handler.name})
        if installed is not None and handler.kind == "python" and handler.name not in installed:
            params = {"name": handler.name, "known": ", ".join(sorted(installed)) or "none"}
            yield Problem(place, "handler-not-installed", params)
        yield from _address(handler, ("handlers", number))


def _address(handler: Handler, place: Place) -> Iterator[Problem]:
    if handler.kind == "http" and handler.url is None:
        yield Problem((*place, "name"), "no-url", {"name": handler.name})
    if handler.url is not None and not handler.url.startswith("https:"):
        yield Problem((*place, "url"), "url-not-https", {"url": handler.url})
    if handler.topic != STEP_REQUESTS:
        yield Problem((*place, "topic"), "unknown-topic", {"name": handler.topic, "known": STEP_REQUESTS})


def named_secrets(definition: FlowDefinition) -> set[str]:
    """The secrets that handlers are signed with by name."""
    return {handler.secret for handler in definition.handlers if handler.secret is not None}


def unknown_secrets(definition: FlowDefinition, known: Collection[str]) -> Iterator[Problem]:
    """Those that the tenant does not have."""
    for number, handler in enumerate(definition.handlers):
        if handler.secret is not None and handler.secret not in known:
            yield Problem(("handlers", number, "secret"), "unknown-secret", {"name": handler.secret})


def named_templates(definition: FlowDefinition) -> set[str]:
    """The message templates of reminders."""
    slas = [state.sla for state in definition.states if state.sla is not None]
    return {sla.reminder.template for sla in slas if sla.reminder.template is not None}


def unknown_templates(definition: FlowDefinition, known: Collection[str]) -> Iterator[Problem]:
    """Those that the tenant does not have."""
    for number, state in enumerate(definition.states):
        template = None if state.sla is None else state.sla.reminder.template
        if template is not None and template not in known:
            yield Problem(("states", number, "sla", "reminder", "template"), "unknown-template", {"name": template})


def _moves(definition: FlowDefinition) -> Iterator[Problem]:
    ends = {state.name for state in definition.states if state.end is not None}
    automatic: dict[str, Transition] = {}
    for number, move in enumerate(definition.transitions):
        if move.from_state in ends:
            yield Problem(("transitions", number, "from"), "leaves-end", {"name": move.from_state})
        if "SYSTEM" in move.actors:
            if move.from_state in automatic:
                yield Problem(("transitions", number, "actors"), "two-automatic", {"state": move.from_state})
            automatic.setdefault(move.from_state, move)
    for number, move in enumerate(definition.transitions):
        first = automatic.get(move.from_state)
        if first is not None and "SYSTEM" not in move.actors:
            params = {"action": move.action, "state": move.from_state, "automatic": first.action}
            yield Problem(("transitions", number, "action"), "never-taken", params)
    numbers = {(move.from_state, move.action): number for number, move in enumerate(definition.transitions)}
    for circle in endless(definition):
        place = ("transitions", numbers[circle[0], automatic[circle[0]].action], "to")
        yield Problem(place, "endless", {"states": " → ".join((*circle, circle[0]))})


def _persist_points(definition: FlowDefinition) -> Iterator[Problem]:
    points = [number for number, state in enumerate(definition.states) if state.persist]
    if definition.case_class is None:
        for number in points:
            yield Problem(("states", number, "persist"), "no-case-class", {"state": definition.states[number].name})
    elif not points:
        yield Problem(("caseClass",), "case-class-unused")


def _reviews(definition: FlowDefinition) -> Iterator[Problem]:
    reviewed = {state.name: number for number, state in enumerate(definition.states) if state.review is not None}
    decided: set[tuple[str, str]] = set()
    for number, move in enumerate(definition.transitions):
        params = {"state": move.from_state, "action": move.action}
        decision = "REVIEWER" in move.actors and move.action in ACTIONS.values()
        if move.from_state in reviewed and not decision:
            yield Problem(("transitions", number, "action"), "not-a-decision", params)
        elif move.from_state in reviewed:
            decided.add((move.from_state, move.action))
        elif "REVIEWER" in move.actors:
            yield Problem(("transitions", number, "actors"), "no-review", params)
    for name, number in reviewed.items():
        for action in ("APPROVE", "REJECT"):
            if (name, action) not in decided:
                yield Problem(("states", number, "review"), "no-decision", {"state": name, "action": action})


def _times(definition: FlowDefinition) -> Iterator[Problem]:
    automatic = {move.from_state for move in definition.transitions if "SYSTEM" in move.actors}
    for number, state in enumerate(definition.states):
        if state.sla is None:
            continue
        if state.end is not None or state.name in automatic:
            yield Problem(("states", number, "sla"), "sla-unused", {"state": state.name})
        yield from _reminders(state.sla, ("states", number, "sla", "remindAfter"))
    for number, move in enumerate(definition.transitions):
        attempt, total = move.attempt_timeout, move.total_timeout
        if attempt is not None and total is not None and attempt >= total:
            yield Problem(("transitions", number, "attemptTimeout"), "attempt-beyond-total")


def _reminders(sla: Sla, place: Place) -> Iterator[Problem]:
    said = sla.model_dump(mode="json")
    if sla.on_expiry == "cancel" and not sla.remind_after and sla.reminder != Reminder():
        yield Problem((*place[:-1], "reminder"), "reminder-unused")
    for number, after in enumerate(sla.remind_after):
        params = {"remind": said["remind_after"][number], "expires": said["expires_after"]}
        if after >= sla.expires_after:
            yield Problem((*place, number), "reminder-late", params)
        if number and after <= sla.remind_after[number - 1]:
            yield Problem((*place, number), "reminder-unordered", params)


# What a part that could not be read might have settled.
_DEPEND_ON_OTHERS = frozenset(
    """
    unknown-state unreachable dead-end no-way-out unknown-handler handler-unused no-decision no-review sla-unused
    case-class-unused
    """.split()
)
_OF_FLOWS: Sentences = {
    "duration": (
        "a duration is a number with ms, s, m, h or d, at most ten years, such as 24h",
        "khoảng thời gian là một số kèm ms, s, m, h hoặc d, tối đa mười năm, ví dụ 24h",
    ),
    "on_failure": (
        "say review or to; without onFailure a step that gives up becomes an incident",
        "hãy ghi review hoặc to; không có onFailure thì bước thất bại thành sự cố",
    ),
    "not_of_kind": (
        "{names}: not for a handler of kind {kind}",
        "{names}: không dùng cho handler loại {kind}",
    ),
    "no_handler": (
        "{names}: only for a transition with a handler",
        "{names}: chỉ dùng cho chuyển tiếp có handler",
    ),
    "reminder_mail": (
        "template and emailField go together: what is written, and to whom",
        "template và emailField phải đi cùng nhau: viết gì, và gửi cho ai",
    ),
    "irreversible": (
        "irreversible says why there is no compensation, and there is one",
        "irreversible giải thích vì sao không có compensation, nhưng ở đây lại có",
    ),
}

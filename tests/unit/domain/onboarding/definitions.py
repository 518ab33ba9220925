"""Random definitions: acyclic and cyclic, with every kind of state, policy and limit. What is made here passes the checks."""

from random import Random
from typing import Any

from schemas.flows import FlowDefinition


def random_definition(random: Random) -> FlowDefinition:
    """A flow of two to seven states and both ends. The last state leads to an end, so that every state has a way out."""
    names = [f"S{number}" for number in range(random.randint(2, 7))]
    cyclic = random.random() < 0.5
    states: list[dict[str, Any]] = []
    transitions: list[dict[str, Any]] = []
    for place, name in enumerate(names):
        onward = (
            [*names[place + 1 : place + 2], *names[place + 1 :], "DONE", "NO"] if place + 1 < len(names) else ["DONE", "NO"]
        )
        anywhere = [*names, "DONE", "NO"] if cyclic else onward
        kind = random.choice(("user", "user", "system", "system", "system", "review"))
        states.append(_state(random, name, kind))
        transitions += _transitions(random, name, kind, onward, anywhere)
    states += [{"name": "DONE", "end": "completed"}, {"name": "NO", "end": "rejected"}]
    return FlowDefinition.model_validate(
        {
            "flow": "random",
            "version": 1,
            "initial": "S0",
            "caseClass": "com.app.Journey",
            "reopenTo": random.choice((None, "S0")),
            "states": states,
            "transitions": transitions,
        }
    )


def _state(random: Random, name: str, kind: str) -> dict[str, Any]:
    state: dict[str, Any] = {"name": name, "persist": random.random() < 0.3}
    if kind == "review":
        state["review"] = {"group": "people", "editable": ["name"]}
    if kind != "system" and random.random() < 0.6:
        state["sla"] = {
            "expiresAfter": "24h",
            "onExpiry": random.choice(("cancel", "remind")),
            "remindAfter": random.choice(([], ["1h"], ["1h", "5h"])),
        }
    return state


def _transitions(random: Random, name: str, kind: str, onward: list[str], anywhere: list[str]) -> list[dict[str, Any]]:
    if kind == "review":
        return [
            {"from": name, "action": "APPROVE", "to": onward[0], "actors": ["REVIEWER"], **_step(random, anywhere)},
            {"from": name, "action": "REJECT", "to": "NO", "actors": ["REVIEWER"]},
            {"from": name, "action": "RETURN", "to": random.choice(anywhere), "actors": ["REVIEWER"]},
        ]
    if kind == "system":
        step = _step(random, anywhere) if random.random() < 0.8 else {}
        # Without a handler it must lead onward: a circle of these would never end.
        target = random.choice(anywhere) if "handler" in step else onward[0]
        return [{"from": name, "action": "NEXT", "to": target, "actors": ["SYSTEM"], **step}]
    made = [{"from": name, "action": "NEXT", "to": onward[0], "actors": ["USER", "OPERATOR"], **_step(random, anywhere)}]
    if random.random() < 0.4:
        made.append({"from": name, "action": "BACK", "to": random.choice(anywhere), "actors": ["USER"]})
    return made


def _step(random: Random, anywhere: list[str]) -> dict[str, Any]:
    if random.random() < 0.2:
        return {}
    step: dict[str, Any] = {"handler": "work", "retry": {"retries": random.randint(0, 3), "delay": "10s"}}
    if random.random() < 0.7:
        step["compensation"] = "UNDO_WORK"
        step["compensationRetry"] = {"retries": random.randint(0, 2), "delay": "10s"}
    if random.random() < 0.5:
        step["attemptTimeout"] = "30s"
    if random.random() < 0.3:
        step["totalTimeout"] = "2m"
    if random.random() < 0.3:
        step["outcomes"] = {"OTHER": random.choice(anywhere)}
    policy = random.choice(("incident", "to", "review"))
    if policy == "to":
        step["onFailure"] = {"to": random.choice((*anywhere, "NO"))}
    elif policy == "review":
        step["onFailure"] = {"review": {"group": "people", "reject": "NO", "returnTo": random.choice((None, *anywhere))}}
    return step

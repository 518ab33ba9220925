"""Who may act as what, by the roles of a token or of a registered sender (RBAC); whose instance it is, decisions ask (ABAC)."""

from collections.abc import Collection, Mapping

from schemas.flows import Actor

# The engine acts for everybody: what it sends was decided before.
ACTORS: Mapping[str, frozenset[Actor]] = {
    "customer": frozenset({"USER"}),
    "agent": frozenset({"OPERATOR", "REVIEWER"}),
    "supervisor": frozenset({"OPERATOR", "REVIEWER"}),
    "operator": frozenset({"OPERATOR"}),
    "admin": frozenset({"OPERATOR", "REVIEWER"}),
    "engine": frozenset({"SYSTEM", "OPERATOR", "REVIEWER", "USER"}),
}
MAY_BEGIN = frozenset({"customer", "agent", "supervisor", "admin"})
MAY_LOOK = MAY_BEGIN | {"viewer"}
# Services behind steps, which answer what they were asked and may nothing else.
MAY_COMPLETE = frozenset({"step-handler", "engine"})
# The interaction service's doors: the person himself, and the engine's callback.
MAY_INTERACT = frozenset({"customer"})
MAY_NOTICE = frozenset({"engine"})
MAY_REVIEW = frozenset({"agent", "supervisor", "admin"})
# Whoever may also decide and give away tasks that others have, and of groups that he is no member of.
MAY_LEAD = frozenset({"supervisor", "admin"})
# What is under way, and stopping it.
MAY_WATCH = frozenset({"operator", "supervisor", "admin"})
MAY_OPERATE = frozenset({"operator", "admin"})


def actors_of_roles(roles: Collection[str]) -> frozenset[Actor]:
    """As what the bearer of these roles may act."""
    return frozenset(actor for role in roles for actor in ACTORS.get(role, frozenset()))

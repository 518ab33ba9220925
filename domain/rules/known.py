"""Which names a rule may use: fields, templates, users, teams, rules and secrets of its tenant.

The caller asks `named` what a rule mentions, looks that up, and answers with what it found. None: not looked up, so
nothing of that kind is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from domain.templating import TemplateRefused, parse
from schemas.rule_actions import AssignTo, CallWebhook, SendEmail, SendNotification, TriggerWorkflow, Work, configuration_of
from schemas.rules import RuleDefinition


@dataclass(frozen=True, slots=True)
class KnownNames:
    """`fields`: of the entity types whose fields are known; others may have any. `templates`: id to the variables it reads."""

    fields: Mapping[str, frozenset[str]] = field(default_factory=dict)
    templates: Mapping[str, frozenset[str]] | None = None
    users: frozenset[str] | None = None
    teams: frozenset[str] | None = None
    rules: frozenset[str] | None = None
    secrets: frozenset[str] | None = None

    def has_field(self, entity_type: str, name: str) -> bool:
        """Whether an entity of the type may have the field."""
        known = self.fields.get(entity_type)
        return known is None or name in known


@dataclass(frozen=True, slots=True)
class Named:
    """What a rule mentions."""

    templates: frozenset[str]
    users: frozenset[str]
    teams: frozenset[str]
    rules: frozenset[str]
    secrets: frozenset[str]


def named(definition: RuleDefinition) -> Named:
    """What the caller looks up before it checks the rule. A part that is malformed names nothing."""
    found: dict[str, set[str]] = {name: set() for name in ("templates", "users", "teams", "rules", "secrets")}
    for action in definition.actions:
        try:
            configuration = configuration_of(action)
        except ValidationError:
            continue
        if isinstance(configuration, SendEmail):
            found["templates"].add(configuration.template_id)
        elif isinstance(configuration, SendNotification):
            found["users"] |= {user for user in configuration.to_users if "{{" not in user}
        elif isinstance(configuration, AssignTo):
            found["users"] |= {user for user in (configuration.user_id, *configuration.user_ids) if user is not None}
            found["teams"] |= {team for team in (configuration.team_id,) if team is not None}
        elif isinstance(configuration, Work):
            found["users"] |= {user for user in (configuration.assign_to,) if user is not None}
        elif isinstance(configuration, CallWebhook):
            found["secrets"] |= {name for text in configuration.headers.values() for name in _secrets(text)}
        elif isinstance(configuration, TriggerWorkflow):
            found["rules"].add(configuration.rule_id)
    return Named(**{name: frozenset(values) for name, values in found.items()})


def _secrets(text: str) -> tuple[str, ...]:
    try:
        return parse(text).secrets
    except TemplateRefused:
        return ()

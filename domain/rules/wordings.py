"""The stored messages that rules send, looked up only for rules that send some."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from domain.message_templates.reads import find_templates
from domain.message_templates.wording import Wording
from domain.rules.compiling import CompiledRule
from runtime.sql import Connection
from schemas.rule_actions import SendEmail, configuration_of
from schemas.rules import ActionType


async def read_wordings(conn: Connection, rules: Iterable[CompiledRule]) -> Mapping[str, Mapping[str, Wording]]:
    """By tenant and template id, each as it is now: a message is worded when its run begins."""
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for rule in rules:
        for spec in rule.definition.actions:
            if spec.action_type is ActionType.SEND_EMAIL:
                told = configuration_of(spec)
                assert isinstance(told, SendEmail), "each action type has its own model"
                wanted[rule.tenant_id].add(told.template_id)
    found = {
        tenant: await find_templates(conn, tenant, [(template_id, None) for template_id in sorted(ids)])
        for tenant, ids in wanted.items()
    }
    return {
        tenant: {template_id: one.wording for (template_id, _), one in several.items()} for tenant, several in found.items()
    }

"""Message templates of the caller's tenant over HTTP: versions, preview."""

from collections.abc import Sequence

import asyncpg
from starlette.responses import Response

from api import answers
from api.conditions import etag, if_match
from api.door import DoorRequest, json_answer
from api.inputs import Cursor, Limit
from api.outgoing_inputs import PreviewRequest, TemplateId, TemplatePut, TemplateVersion
from api.problems import Problem
from api.views import Position, Row, answer_page, view_of
from domain.message_templates import commands, reads
from domain.message_templates.commands import Draft
from domain.message_templates.wording import Wording, missing_in, rendered, variables_of
from runtime.sql import Connection
from schemas.errors import Rejected


async def list_templates(request: DoorRequest, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """Message templates by id, each with its newest version."""

    async def read(conn: Connection, after: Position | None, size: int) -> tuple[Sequence[Row], Position | None]:
        tenant, last = request.principal.tenant_id, after[0] if after else None
        rows = await reads.list_templates(conn, tenant, after=last, page_size=size + 1)
        return rows[:size], (rows[size - 1]["template_id"],) if len(rows) > size else None

    return await answer_page(request, cursor=cursor, limit=limit, filters={}, read=read, view=_summary_view)


async def get_template(request: DoorRequest, template_id: TemplateId, version: TemplateVersion = None) -> Response:
    """The newest version, or a named one, with the paths that its words read. The ETag is the newest version's."""

    async def effect(conn: Connection) -> Response:
        found = await reads.get_template(conn, request.principal.tenant_id, template_id, version)
        words = found.wording
        shown = {name: getattr(found, name) for name in answers.TemplateSummary.model_fields if hasattr(found, name)}
        body = {**_summary_view({**shown, "subject": words.subject}), "text": words.text, "html": words.html}
        return json_answer({**body, "variables": variables_of(words)}, headers={"ETag": etag(found.newest)})

    return await request.in_transaction(effect)


async def put_template(request: DoorRequest, template_id: TemplateId, body: TemplatePut) -> Response:
    """Save the template's next version. Needs If-Match, but for a template that is not there yet. Every fault of the words is
    told at once, and then nothing is saved."""
    # Without the header only a new template may be meant.
    expected = if_match(request) if "if-match" in request.headers else 0
    who, words = request.principal, Wording(body.subject, body.text, body.html)

    async def effect(conn: Connection) -> Response:
        draft = Draft(template_id, body.name, words, body.reason, expected)
        version = await commands.save_template(conn, who.tenant_id, draft, author=who.user_id)
        if isinstance(version, Rejected):
            if version.code == "ConflictState" and "if-match" not in request.headers:
                raise Problem("IfMatchRequired", "The template exists: read it first and send its ETag as If-Match.")
            return request.refuse(version, if_match=expected)
        answer = {"templateId": template_id, "version": version, "variables": variables_of(words)}
        return json_answer(answer, headers={"ETag": etag(version)})

    try:
        return await request.in_transaction(effect)
    except asyncpg.ForeignKeyViolationError:
        raise Problem("UnknownTenant", "The token's tenant is not known here; an operator must import it first.") from None


async def remove_template(request: DoorRequest, template_id: TemplateId) -> Response:
    """Remove the template: nothing can choose it any longer, its versions stay to be read."""
    expected = if_match(request)

    async def effect(conn: Connection) -> Response:
        who = request.principal
        refused = await commands.remove_template(conn, who.tenant_id, template_id, author=who.user_id, expected=expected)
        return request.refuse(refused, if_match=expected) if refused else Response(status_code=204)

    return await request.in_transaction(effect)


async def list_template_versions(
    request: DoorRequest, template_id: TemplateId, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """The template's versions, newest first, also when it was removed."""

    async def read(conn: Connection, after: Position | None, size: int) -> tuple[Sequence[Row], Position | None]:
        before = int(after[0]) if after else None
        tenant = request.principal.tenant_id
        rows = await reads.list_versions(conn, tenant, template_id, before=before, page_size=size + 1)
        return rows[:size], (str(rows[size - 1]["version"]),) if len(rows) > size else None

    return await answer_page(request, cursor=cursor, limit=limit, filters={}, read=read, view=_version_view)


async def preview_template(request: DoorRequest, template_id: TemplateId, body: PreviewRequest) -> Response:
    """The message as these values make it. Nothing is sent, nothing is kept."""

    async def effect(conn: Connection) -> Response:
        found = await reads.get_template(conn, request.principal.tenant_id, template_id, body.version)
        made = rendered(found.wording, body.values)
        if isinstance(made, Rejected):
            return request.refuse(made)
        message = {"subject": made.subject, "text": made.text, "html": made.html}
        lacking = missing_in(found.wording, body.values)
        return json_answer({"templateId": template_id, "version": found.version, **message, "missing": lacking})

    return await request.in_transaction(effect)


_summary_view = view_of(answers.TemplateSummary)
_version_view = view_of(answers.TemplateVersionView, text="text_body", html="html_body")

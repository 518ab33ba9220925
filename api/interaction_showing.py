"""Answers of interactions: interactionId, stepName, status and the masked case, and nothing else.

An answer that is kept for an Idempotency-Key holds the case sealed under the person's key, so that a shred reaches it; it is
opened for whoever shows the key again. The caller holds the subject.
"""

from base64 import b64decode, b64encode
from typing import Any
from urllib.parse import quote

import orjson
from starlette.responses import Response

from api.door import DoorRequest, json_answer
from domain.interactions import reads, refusals
from domain.interactions.commands import Begun
from domain.onboarding.sealing import Keys, key_place, open_words, seal_words
from runtime.sql import Connection
from schemas.errors import DecryptionFailed

PATH = "/api/v1/interactions"
# A kind of place that words are sealed for.
_ANSWER = "interaction_answer"
_SEALED = "sealedCase"


async def shown_case(request: DoorRequest, conn: Connection, keys: Keys, begun: Begun) -> dict[str, Any]:
    """The snapshot for the front end. Raises DecryptionFailed: the person was erased."""
    known = await reads.open_case(keys, begun.interaction)
    named = begun.flow.definition.case_class
    paths: tuple[str, ...] = ()
    if named is not None:
        found = (await request.door.case_classes.read(conn)).get(named)
        # A class that is no longer known says nothing about what is sensitive: nothing is shown.
        paths = found.sensitive_paths if found else ("$",)
    return reads.shown_case(begun.definition, known, paths)


def told(begun: Begun) -> dict[str, Any]:
    """An answer without the case."""
    return {"interactionId": begun.interaction.id, "stepName": begun.step, "status": begun.interaction.status}


def answer(begun: Begun, case: dict[str, Any], status: int = 200) -> Response:
    """What the front end gets."""
    return json_answer({**told(begun), "case": case}, status, headers_of(begun, status))


def headers_of(begun: Begun, status: int) -> dict[str, str]:
    headers = {"ETag": str(begun.interaction.tag)}
    if status in (201, 202):
        headers["Location"] = f"{PATH}/{quote(begun.interaction.id)}"
    return headers


async def kept(request: DoorRequest, conn: Connection, keys: Keys, begun: Begun, status: int) -> Response:
    """The answer as it is kept."""
    interaction = begun.interaction
    try:
        case = await shown_case(request, conn, keys, begun)
        key = (await keys.current([interaction.subject]))[interaction.subject]
    except (DecryptionFailed, KeyError):
        return request.refuse(refusals.erased())
    sealed = seal_words(key, interaction.subject, _ANSWER, interaction.id, interaction.version, case)
    content = {**told(begun), _SEALED: b64encode(sealed).decode(), "version": interaction.version}
    return json_answer(content, status, headers_of(begun, status))


async def opened(request: DoorRequest, keys: Keys, stored: Response) -> Response:
    """A kept answer as the front end gets it; a refusal stays as it is."""
    if stored.status_code >= 300:
        return stored
    content = orjson.loads(bytes(stored.body))
    sealed, number = b64decode(content.pop(_SEALED)), content.pop("version")
    subject = (request.principal.tenant_id, request.principal.user_id)
    try:
        secrets = await keys.secrets([key_place(subject, sealed)])
        case = open_words(secrets, subject, _ANSWER, content["interactionId"], number, sealed)
    except DecryptionFailed:
        return request.refuse(refusals.erased())
    headers = {name: stored.headers[name] for name in _HEADERS if name in stored.headers}
    return json_answer({**content, "case": case}, stored.status_code, headers)


_HEADERS = ("etag", "location", "idempotency-replayed")

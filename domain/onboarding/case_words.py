"""The words of cases, opened in a transaction that holds their subjects: for persist points and reminders."""

from collections.abc import Sequence
from typing import Any

from domain.onboarding.instance import Instance
from domain.onboarding.sealing import CASE, Keys, key_place, open_words
from domain.onboarding.store import Case
from schemas.errors import DecryptionFailed

Words = dict[str, Any]


async def read_words(keys: Keys, wanted: Sequence[tuple[Instance, Case]]) -> list[Words | None]:
    """What each case says by then; None where its key is gone, because the person was erased."""
    sealed = [((one.tenant_id, one.user_id), case.sealed) for one, case in wanted if case.sealed is not None]
    secrets = await keys.secrets([key_place(subject, words) for subject, words in sealed]) if sealed else {}
    found: list[Words | None] = []
    for one, case in wanted:
        try:
            subject = (one.tenant_id, one.user_id)
            opened = {} if case.sealed is None else open_words(secrets, subject, CASE, one.id, case.version, case.sealed)
            found.append(opened)
        except DecryptionFailed:
            found.append(None)
    return found

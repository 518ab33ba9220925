"""Standard Webhooks 1.0: what is signed and how it is said. Pure.

The signed text is `id.timestamp.body`. The id is the effect's and the same over all attempts, so that a receiver can drop
what it has; the timestamp is of the attempt, so that an old request cannot be sent again by somebody else.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from uuid import UUID

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"


def signed_headers(effect_id: UUID, seconds: int, body: bytes, keys: Sequence[bytes]) -> list[tuple[str, str]]:
    """The three headers; with two keys two signatures, of which a receiver needs one. Without a key there is none."""
    headers = [(ID, str(effect_id)), (TIMESTAMP, str(seconds))]
    text = f"{effect_id}.{seconds}.".encode() + body
    signatures = [f"v1,{base64.b64encode(hmac.digest(key, text, hashlib.sha256)).decode()}" for key in keys]
    return [*headers, (SIGNATURE, " ".join(signatures))] if signatures else headers

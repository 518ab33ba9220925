"""What the audit chain tells the world outside the database: the signed head of a tenant's chain."""

from typing import Annotated, ClassVar

from pydantic import Field

from schemas.models import Count, Instant, Payload

Hash = Annotated[str, Field(max_length=64, pattern=r"^[0-9a-f]{64}$")]
Signature = Annotated[str, Field(max_length=128, pattern=r"^[0-9a-f]{128}$")]
KeyId = Annotated[str, Field(max_length=16, pattern=r"^[0-9a-f]{16}$")]
# The tenant's id; `-` is the chain of deeds that belong to no tenant.
Chain = Annotated[str, Field(max_length=64, pattern=r"^(-|[A-Za-z0-9][A-Za-z0-9_.-]{0,63})$")]


class AuditHeadSigned(Payload):
    """The first `length` entries of the tenant's audit log hash to `head`. An Ed25519 key, named `keyId`, vouches for it.

    Whoever keeps this event can show later that no entry was changed, removed or added before it.
    """

    TYPE: ClassVar[str] = "AuditHeadSigned"
    chain: Chain
    length: Count
    head: Hash
    signed_at: Instant
    key_id: KeyId
    signature: Signature

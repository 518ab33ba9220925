"""The one error tree. The class decides the fate: refuse to start, retry, park, or answer the caller.

A business "no" is no exception: decisions return `Rejected`. Wording of every message: what was attempted, on which
object, what was expected and found, what to do next; never payload text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


class CasestreamError(Exception):
    """The root: anything Casestream raises on purpose."""


class ConfigurationError(CasestreamError):
    """The process refuses to start; every problem is listed at once, each with key, value, legal range and cure."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class TransientError(CasestreamError):
    """The same attempt may succeed later (network, deadlock, pool): retry it with backoff."""


class PermanentError(CasestreamError):
    """No retry can help: the message is parked with this error's `reason`."""

    reason = "permanent"


class UndecodableMessage(PermanentError):
    """The record is no event of ours: broken envelope, JSON, UTF-8, size or a field that fails its model."""

    reason = "undecodable"


class UnknownMessageType(PermanentError):
    """The record's type or schema version is not one that this group understands."""

    reason = "unknown-type"


class DecryptionFailed(PermanentError):
    """The ciphertext cannot be opened; one text for every cause, so that it tells an attacker nothing."""

    reason = "decryption-failed"


class DataKeyMissing(PermanentError):
    """A data key that no ledger calls destroyed is not to be had: somebody must restore it before this is tried again."""

    reason = "data-key-missing"


class NotFound(CasestreamError):
    """The named object does not exist for this tenant."""


class ConcurrencyConflict(CasestreamError):
    """Somebody else changed the object first: read it again and repeat the attempt."""

    def __init__(self, expected: object, actual: object) -> None:
        self.expected, self.actual = expected, actual
        super().__init__(f"expected version {expected}, found {actual}: read the object again and repeat")


@dataclass(frozen=True, slots=True)
class Rejected:
    """A business "no" as a value: the documents' error code, a sentence, and what the caller may do instead."""

    code: str
    message: str
    details: Mapping[str, object] = field(default_factory=dict)

"""The guard of every transaction that encrypts or decrypts: the buckets' shared locks, then the ledger.

    batch: shared locks of its subjects' buckets -> read ledger -> decrypt, write -> commit (locks end)
    shred: exclusive lock of one bucket -> ledger row -> commit; so each batch either ended before or sees the row

A cached key is harmless by this: whoever still holds it asks here first and is told that the subject is shredded.

Why buckets, and why 64. One lock per subject would be exact, but a batch has a thousand subjects, and PostgreSQL keeps
all transaction locks in one table of max_locks_per_transaction (64 by default) entries per connection; when it is full
every statement of every process fails. With B buckets a transaction holds at most B, so B connections' worth of holders
is at most B x connections; the table of holders has room for 2 x 64 x connections. With 64 buckets even every connection
holding every bucket fills half of it; 1,024 buckets would fill it with some 40 batches (docs/decisions/0013). The price:
a shred stops 1/64 of all subjects for the few milliseconds of one insert, and waits for the batches that run.
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache

from runtime.sql import Connection, load_queries

queries = load_queries(__file__)

BUCKETS = 64
# The first of the two numbers of an advisory lock: "subj". Nobody else uses it.
SPACE = 0x7375_626A

Subject = tuple[str, str]


# A table's reader meets its subjects again and again.
@lru_cache(maxsize=65_536)
def bucket_of(subject: Subject) -> int:
    """The bucket of (tenant, subject): the same in every process and release, for ever."""
    digest = hashlib.sha256("\x00".join(subject).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") % BUCKETS


async def hold_subjects(conn: Connection, subjects: Sequence[Subject]) -> set[Subject]:
    """Hold these (tenant, subject) until the transaction ends; those of them that are shredded.

    Call it first: before row locks, so that a shred never waits behind one, and before keys are used. The transaction must
    be read committed (an older snapshot would not show the ledger row that the lock waited for) and see the subjects'
    tenants; otherwise RuntimeError, for the answer could wrongly be "nobody".
    """
    if not subjects:
        return set()
    tenants = sorted({tenant for tenant, _ in subjects})
    held = await queries.share_buckets(conn, space=SPACE, buckets=buckets_of(subjects), tenants=tenants)
    if not held[0]["sees_what_waiting_brought"]:
        raise RuntimeError("hold_subjects: expected a read committed transaction, whose statements see what was committed last")
    if not held[0]["sees_the_tenants"]:
        raise RuntimeError("hold_subjects: the transaction's tenants do not include those of its subjects; set them first")
    rows = await queries.list_shredded(
        conn, tenants=[tenant for tenant, _ in subjects], subjects=[subject for _, subject in subjects]
    )
    return {(row["tenant_id"], row["subject_id"]) for row in rows}


async def hold_alone(conn: Connection, subject: Subject) -> None:
    """Wait until no transaction holds the subject's bucket, and hold it alone until this one ends. Bound it by lock_timeout."""
    await queries.take_bucket(conn, space=SPACE, bucket=bucket_of(subject))


def buckets_of(subjects: Iterable[Subject]) -> list[int]:
    """The buckets of these subjects in the order in which they are taken."""
    return sorted({bucket_of(subject) for subject in set(subjects)})

"""The partition of a key, exactly as Kafka's default partitioner in Java chooses it, so that every client agrees.

Owns the hash and a bounded cache of it: in pure Python the hash costs as much as all other work on a row, and keys come
back. Never asks a broker: the number of partitions is an argument.
"""

from functools import lru_cache

_CACHED_KEYS = 65_536


@lru_cache(maxsize=_CACHED_KEYS)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition of `key` in a topic of so many partitions."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(key: bytes) -> int:
    """Murmur2 with Java's seed, as an unsigned 32-bit number (org.apache.kafka.common.utils.Utils.murmur2)."""
    length = len(key)
    tail = length & 3
    h = 0x9747B28C ^ length
    for start in range(0, length - tail, 4):
        k = int.from_bytes(key[start : start + 4], "little") * 0x5BD1E995 & 0xFFFFFFFF
        k = (k ^ k >> 24) * 0x5BD1E995 & 0xFFFFFFFF
        h = h * 0x5BD1E995 & 0xFFFFFFFF ^ k
    if tail:
        h = (h ^ int.from_bytes(key[length - tail :], "little")) * 0x5BD1E995 & 0xFFFFFFFF
    h = (h ^ h >> 13) * 0x5BD1E995 & 0xFFFFFFFF
    return h ^ h >> 15

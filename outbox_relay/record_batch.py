"""A Kafka record batch (format v2, lz4), written row by row. Pure but for its caller's clock.

It stands in for the client's own builder, of which the sender asks only the methods below: that one takes headers apart to
put them together again, and compresses with lz4's slowest setting (eight times the time for 5 % of the size). The
bytes are the client's byte for byte before compression, which a test shows. Never sends; decides nothing about order.
"""

import struct

from aiokafka.codec import lz4_encode
from aiokafka.record.util import calc_crc32c

from schemas.headers import record_headers
from schemas.varints import VARINTS

BATCH_BYTES = 1024 * 1024

# Offset 0, length, leader's epoch, format, checksum; then attributes, last offset, first and last time, producer's
# id, epoch and sequence, count.
_HEAD = struct.Struct(">qiibI")
_BODY = struct.Struct(">hiqqqhii")
_UNKNOWN_EPOCH, _FORMAT = -1, 2
# What the length counts of the head: epoch, format, checksum.
_COUNTED = 9
_LZ4 = 3
_FASTEST = 1
# No attributes, and the time of the batch itself.
_RECORD_HEAD = b"\0\0"
_LONGEST_VARINT = 5


class RecordBatch:
    """Records of one partition, all of one time (milliseconds)."""

    __slots__ = ("_built", "_producer", "_records", "_size", "_time_ms")

    def __init__(self, time_ms: int) -> None:
        self._records: list[bytes] = []
        self._size = _HEAD.size + _BODY.size
        self._time_ms = time_ms
        self._producer = (-1, -1, 0)
        self._built: bytes | None = None

    def append(self, key: bytes | None, value: bytes | None, packed_headers: bytes) -> bool:
        """Add a record, its headers as the `headers` column holds them. False when it does not fit any more."""
        records = self._records
        record = b"".join(
            (
                _RECORD_HEAD,
                VARINTS[len(records) // 2],
                VARINTS[-1 if key is None else len(key)],
                key or b"",
                VARINTS[-1 if value is None else len(value)],
                value or b"",
                record_headers(packed_headers),
            )
        )
        size = self._size + len(record) + _LONGEST_VARINT
        if size > BATCH_BYTES and records:
            return False
        self._size = size
        records += (VARINTS[len(record)], record)
        return True

    def record_count(self) -> int:
        return len(self._records) // 2

    def size(self) -> int:
        return self._size if self._built is None else len(self._built)

    def close(self) -> None:
        """Nobody appends after it was handed over."""

    def closed(self) -> bool:
        return True

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._producer = (producer_id, producer_epoch, base_sequence)

    def _build(self) -> bytes:
        """The batch as it is sent, and sent again."""
        if self._built is None:
            self._built = self._assembled()
        return self._built

    def _assembled(self) -> bytes:
        plain = b"".join(self._records)
        packed = lz4_encode(plain, level=_FASTEST)
        codec, records = (_LZ4, packed) if len(packed) < len(plain) else (0, plain)
        count = self.record_count()
        body = _BODY.pack(codec, count - 1, self._time_ms, self._time_ms, *self._producer, count) + records
        return _HEAD.pack(0, len(body) + _COUNTED, _UNKNOWN_EPOCH, _FORMAT, calc_crc32c(body)) + body

"""Reading record batches in which a header's name is no UTF-8 (Kafka does not check it; any producer may write one).

The client decodes names strictly, in the middle of a fetch: one such record would end every consumer of its partition, for
ever. Here its batch is read a second time, in Python, with `?` in place of each byte beyond ASCII in that name. The names
that we read are ASCII, so nothing of ours changes; the record is decoded, or parked, like any other.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy
from aiokafka.record.util import decode_varint

_QUESTION_MARK = ord("?")
_ASCII_END = 0x80
_NEWEST_MAGIC = 2


def install() -> None:
    """Let every consumer of this process read batches so."""
    setattr(fetcher, "MemoryRecords", TolerantRecords)  # noqa: B010 - the fetcher's own name for it is not exported


class TolerantRecords:
    """The batches of a fetch. Splitting them is Python (a few steps per batch), reading them stays the client's own."""

    def __init__(self, fetched: bytes) -> None:
        self._batches = _MemoryRecordsPy(fetched)

    def size_in_bytes(self) -> int:
        return self._batches.size_in_bytes()

    def has_next(self) -> bool:
        return self._batches.has_next()

    def next_batch(self) -> Any:
        raw = self._batches._next_slice
        batch: Any = self._batches.next_batch()
        # Batches before Kafka 0.11 have no headers.
        return batch if raw is None or batch is None or batch.magic < _NEWEST_MAGIC else _TolerantBatch(batch, raw)


class _TolerantBatch:
    """The client's batch, read again when a name cannot be decoded."""

    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch, self._raw = batch, raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        count = 0
        try:
            for record in self._batch:
                count += 1
                yield record
        except UnicodeDecodeError:
            yield from islice(_read_again(self._raw), count, None)


def _read_again(raw: memoryview) -> Iterator[Any]:
    """Every record of a batch. The slow reader decodes a record when it is asked for it, just after its names were mended."""
    batch = _DefaultRecordBatchPy(raw)
    iter(batch)  # decompresses
    while True:
        if batch._next_record_index < batch._num_records:
            _mend_names(batch._buffer, batch._pos)
        try:
            yield next(batch)
        except StopIteration:
            return


def _mend_names(buffer: bytearray, at: int) -> None:
    """Overwrite, in the record that begins at `at`, the bytes beyond ASCII of every name that is no UTF-8."""
    for _length_attributes_timestamp_offset in range(4):
        _, at = decode_varint(buffer, at)
    for _key_value in range(2):
        at = _skip(buffer, at)
    count, at = decode_varint(buffer, at)
    for _ in range(count):
        length, at = decode_varint(buffer, at)
        name = buffer[at : at + length]
        if not _is_utf8(name):
            buffer[at : at + length] = bytes(_QUESTION_MARK if byte >= _ASCII_END else byte for byte in name)
        at = _skip(buffer, at + length)


def _skip(buffer: bytearray, at: int) -> int:
    length, at = decode_varint(buffer, at)
    return at + max(length, 0)


def _is_utf8(name: bytearray) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True

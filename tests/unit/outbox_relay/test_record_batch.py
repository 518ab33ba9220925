"""Record batches: the client's own bytes, whatever keys, values and headers are."""

from typing import Any

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from outbox_relay.record_batch import BATCH_BYTES, RecordBatch
from schemas.headers import pack_headers

TIME_MS = 1_700_000_000_000
_NONE, _LZ4 = 0, 3
_PRODUCER = (7, 2, 40)

some_bytes = st.none() | st.binary(max_size=300)
headers = st.lists(st.tuples(st.text(st.characters(codec="utf-8"), max_size=80), some_bytes), max_size=4)
records = st.lists(st.tuples(some_bytes, some_bytes, headers), min_size=1, max_size=150)

Records = list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]]


def ours(given_records: Records) -> bytes:
    batch = RecordBatch(TIME_MS)
    assert all(batch.append(key, value, pack_headers(some)) for key, value, some in given_records)
    batch._set_producer_state(*_PRODUCER)
    return batch._build()


def clients(given_records: Records, codec: int) -> bytes:
    batch: Any = BatchBuilder(BATCH_BYTES, codec)
    for key, value, some in given_records:
        batch.append(timestamp=TIME_MS, key=key, value=value, headers=some)
    batch._set_producer_state(*_PRODUCER)
    return bytes(batch._build())


def read(built: bytes) -> tuple[Any, list[Any]]:
    batch: Any = MemoryRecords(built).next_batch()
    assert batch.validate_crc()
    return batch, [(r.offset, r.timestamp, r.key, r.value, r.headers) for r in batch]


@given(records)
def test_a_batch_reads_like_the_clients_own(given_records: Records) -> None:
    batch, found = read(ours(given_records))
    other, expected = read(clients(given_records, _LZ4))

    assert found == expected
    for name in ("next_offset", "is_transactional", "producer_id", "producer_epoch", "base_sequence", "max_timestamp"):
        assert getattr(batch, name) == getattr(other, name), name


@given(st.binary(max_size=40))
def test_what_compression_does_not_shorten_is_the_clients_own_byte_for_byte(value: bytes) -> None:
    tiny: Records = [(b"k", value, [])]
    built = ours(tiny)
    if len(built) <= len(clients(tiny, _NONE)) and read(built)[0].compression_type == _NONE:
        assert built == clients(tiny, _NONE)


def test_a_batch_counts_its_records_and_is_built_once() -> None:
    batch = RecordBatch(TIME_MS)
    assert batch.record_count() == 0
    batch.append(b"a", b"1", pack_headers([]))
    batch.append(b"a", b"2", pack_headers([]))
    assert (batch.record_count(), batch.closed()) == (2, True)
    assert batch._build() is batch._build()


@pytest.mark.hole("relay-size-check")
def test_a_full_batch_takes_no_more_but_a_single_record_of_any_size_fits() -> None:
    batch, none = RecordBatch(TIME_MS), pack_headers([])
    assert batch.append(b"a", b"x" * (BATCH_BYTES + 1), none)
    assert not batch.append(b"a", b"y", none)
    assert (batch.record_count(), batch.size() > BATCH_BYTES) == (1, True)

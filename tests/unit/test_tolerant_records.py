"""Header names that are no UTF-8: the record comes all the same, and its neighbours with it."""

import struct

import pytest
from aiokafka.codec import lz4_encode
from aiokafka.record._crecords import cutil
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from runtime.tolerant_records import TolerantRecords

Record = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]
PLAIN, LZ4 = 0, 3


def batch_of(records: list[Record], compression: int = PLAIN, base: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(2, compression, False, -1, -1, 0, 1 << 20)
    for offset, (key, value, headers) in enumerate(records):
        assert builder.append(offset, 0, key, value, headers) is not None
    built = bytes(builder.build())
    return struct.pack(">q", base) + built[8:]


def read(fetched: bytes, reader: type = TolerantRecords) -> list[tuple[int, Record]]:
    found, records = [], reader(fetched)
    while records.has_next():
        batch = records.next_batch()
        assert batch.validate_crc()
        found += [(each.offset, (each.key, each.value, list(each.headers))) for each in batch]
    return found


GOOD: Record = (b"k", b"v", [("ce_id", b"1"), ("traceparent", None)])
SPOILT: Record = (b"k", b"!!-NAME in the value", [("ce_id", b"2"), ("!!-NAME", b"x"), ("đ", b"\xff")])


def spoil() -> bytes:
    """Four records; the third has a name that is no UTF-8, and its value holds the same bytes."""
    batch = batch_of([GOOD, GOOD, SPOILT, GOOD])
    at = batch.index(b"!!-NAME", batch.index(b"ce_id", batch.index(b"in the value")))
    spoilt = batch[:at] + b"\xff\xfe-NAME" + batch[at + 7 :]
    return spoilt[:17] + struct.pack(">I", cutil.crc32c_cython(spoilt[21:])) + spoilt[21:]


def test_the_clients_own_reader_stops_there() -> None:
    """The negative control: why this module exists."""
    with pytest.raises(UnicodeDecodeError):
        read(spoil(), MemoryRecords)


@pytest.mark.requirement("SP-4")
def test_the_record_and_its_neighbours_are_read_once_and_in_order() -> None:
    mended: Record = (SPOILT[0], SPOILT[1], [("ce_id", b"2"), ("??-NAME", b"x"), ("đ", b"\xff")])
    assert read(spoil()) == [(0, GOOD), (1, GOOD), (2, mended), (3, GOOD)]


@pytest.mark.requirement("SP-4")
def test_a_compressed_batch_is_mended_too() -> None:
    plain = spoil()
    packed = lz4_encode(plain[61:])
    body = struct.pack(">h", LZ4) + plain[23:61] + packed
    head = plain[:8] + struct.pack(">i", len(body) + 9) + plain[12:17] + struct.pack(">I", cutil.crc32c_cython(body))
    assert read(head + body) == read(plain)


def test_the_next_batch_is_read_as_well() -> None:
    following = batch_of([GOOD], base=4)
    assert [offset for offset, _ in read(spoil() + following)] == [0, 1, 2, 3, 4]


names = st.text(st.characters(codec="utf-8"), max_size=20)
records = st.lists(
    st.tuples(
        st.none() | st.binary(max_size=30),
        st.none() | st.binary(max_size=30),
        st.lists(st.tuples(names, st.none() | st.binary(max_size=30)), max_size=4),
    ),
    min_size=1,
    max_size=10,
)


@given(records, st.sampled_from([PLAIN, LZ4]))
def test_sound_batches_are_read_as_the_client_reads_them(given_records: list[Record], compression: int) -> None:
    batch = batch_of(given_records, compression)
    assert read(batch) == read(batch, MemoryRecords)

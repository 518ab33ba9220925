"""CRC-32C (Castagnoli), the checksum that Google Cloud KMS takes and gives; for texts of a few hundred bytes."""

_POLYNOMIAL = 0x82F63B78


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return tuple(table)


_TABLE = _table()


def crc32c(raw: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in raw:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF

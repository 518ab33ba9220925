"""Kafka's signed varints: zigzag, seven bits a byte, lowest first. Lengths and counts of a record are written so."""

_KEPT = 4096
_MORE = 0x80


def encode_varint(number: int) -> bytes:
    """`number` (-2^31 to 2^31 - 1) as a varint."""
    rest = number * 2 if number >= 0 else -number * 2 - 1
    encoded = bytearray()
    while rest >= _MORE:
        encoded.append(rest & 0x7F | _MORE)
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded)


def decode_varint(packed: bytes, at: int) -> tuple[int, int]:
    """The number that begins at `at`, and where the next byte stands."""
    raw, shift = packed[at], 7
    at += 1
    if raw >= _MORE:
        raw &= 0x7F
        while packed[at] >= _MORE:
            raw |= (packed[at] & 0x7F) << shift
            shift += 7
            at += 1
        raw |= packed[at] << shift
        at += 1
    return (raw >> 1) ^ -(raw & 1), at


class _Varints(dict[int, bytes]):
    """Every varint by its number: the small ones, which are nearly all, are kept."""

    def __missing__(self, number: int) -> bytes:
        return encode_varint(number)


VARINTS = _Varints({number: encode_varint(number) for number in range(-1, _KEPT)})

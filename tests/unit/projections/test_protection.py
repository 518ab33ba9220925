"""Column values under the subject's key: the same bytes for the same value at the same place, and no other place opens them."""

from uuid import UUID

import pytest

from projections.cases.protection import ColumnSeal, key_id_of_column, open_column
from schemas.errors import DecryptionFailed

KEY_ID, SECRET = UUID(int=7), b"s" * 32
PLACE = ("acme", "s-1", "c-1", 3, "email")


def sealed(plain: bytes = b"an@example.org", place: tuple[str, str, str, int, str] = PLACE, secret: bytes = SECRET) -> bytes:
    seal = ColumnSeal()
    seal.under(KEY_ID, secret)
    return seal(*place, plain)


def opened(value: bytes, place: tuple[str, str, str, int, str] = PLACE, secret: bytes = SECRET) -> bytes:
    return open_column(secret, value, *place)


@pytest.mark.requirement("CD-4", "trap-84")
def test_a_value_opens_at_its_place_and_is_the_same_in_every_rebuild() -> None:
    assert opened(sealed()) == b"an@example.org"
    assert sealed() == sealed()
    assert key_id_of_column(sealed()) == KEY_ID
    assert b"example" not in sealed()


@pytest.mark.requirement("CD-4", "trap-84")
def test_nothing_else_opens_it() -> None:
    value = sealed()
    others = [
        ("x", *PLACE[1:]),
        (PLACE[0], "x", *PLACE[2:]),
        (*PLACE[:2], "x", *PLACE[3:]),
        (*PLACE[:3], 4, "email"),
        (*PLACE[:4], "x"),
    ]
    for place in others:
        with pytest.raises(DecryptionFailed):
            opened(value, place)
    for at in range(len(value)):
        with pytest.raises(DecryptionFailed):
            opened(value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :])
        with pytest.raises(DecryptionFailed):
            opened(value[:at])
    with pytest.raises(DecryptionFailed):
        opened(value, secret=b"t" * 32)


def test_nonces_differ_where_place_or_value_differ() -> None:
    values = {sealed(plain) for plain in (b"a", b"b", b"")} | {sealed(b"a", (*PLACE[:3], 4, "email"))}
    assert len({value[20:32] for value in values}) == 4

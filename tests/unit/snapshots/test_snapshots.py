"""Format v1 under attack: every associated field, every byte, every length, two keys for one ciphertext; one error for all."""

import hmac
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from runtime.snapshots import OVERHEAD_BYTES, Context, key_id_of, open_sealed, seal
from schemas.errors import DecryptionFailed
from tests.unit.snapshots.second_decoder import aes, decode, gcm_open, gcm_tag, hkdf_sha512, times

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
SALT, NONCE = bytes(range(100, 132)), bytes(range(200, 212))
KEY_ID = UUID("01890000-0000-7000-8000-0000000000aa")
CONTEXT = Context("acme", "com.app.OrderCase", "case-1", 3, "customer-7", KEY_ID)
DOCUMENT = b'{"className":"com.app.OrderCase","amount":12.50,"canary":"canary-5d1c"}'
SEALED = seal(KEY, CONTEXT, DOCUMENT, salt=SALT, nonce=NONCE)
# A snapshot as release 0.1 wrote it. It must open for ever: a failure here is a change of the format, not of the test.
FROZEN = (
    "43536e700101018900000000700080000000000000aa6465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"
    "80818283aefeff6be87b06d7315cf398364228bed4b286a7a971a528798db2fcad73c379c8c9cacbcccdcecfd0d1d2d34fee"
    "8417d82ae59ffdb3212adcf597f20d5e1d5c7533da0ef95b15f4802ffb2b7a2eb989474204d0f69d6bb955adf49b2e56b028"
    "42e07eaac2141edf473a7b70b9298b2b21621ac386788fc976904fc8dcad190823bc3c"
)


def refused(key: bytes, context: Context, sealed: bytes) -> str:
    with pytest.raises(DecryptionFailed) as raised:
        open_sealed(key, context, sealed)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    return str(raised.value)


ONE_TEXT = refused(OTHER_KEY, CONTEXT, SEALED)


@pytest.mark.requirement("CD-2")
def test_what_was_sealed_opens_and_is_larger_by_a_fixed_size() -> None:
    assert open_sealed(KEY, CONTEXT, SEALED) == DOCUMENT
    assert len(SEALED) == len(DOCUMENT) + OVERHEAD_BYTES
    assert key_id_of(SEALED) == KEY_ID


@pytest.mark.requirement("CD-2")
def test_a_snapshot_of_the_first_release_opens() -> None:
    assert bytes.fromhex(FROZEN) == SEALED


@pytest.mark.hole("no-key-in-snapshots")
@pytest.mark.requirement("trap-84")
def test_the_header_names_the_key_and_holds_none() -> None:
    derived = hkdf_sha512(KEY, SALT, b"casestream snapshot 1.1: key and commitment", 64)
    assert derived[32:] in SEALED, "the commitment, which tells nothing of the key"
    for secret in (KEY, derived[:32]):
        for size in (8, 16, 32):
            assert not any(secret[start : start + size] in SEALED for start in range(33 - size))
    # Nothing else is there: format, key id, salt, commitment, nonce, ciphertext and tag.
    head = b"CSnp\x01\x01" + KEY_ID.bytes + SALT + derived[32:] + NONCE
    assert SEALED[:98] == head
    assert SEALED[98:] == AESGCM(derived[:32]).encrypt(NONCE, DOCUMENT, SEALED[:22] + PLACE)


PLACE = b'["acme","com.app.OrderCase","case-1",3,"customer-7"]'


@pytest.mark.requirement("trap-84")
@pytest.mark.parametrize(
    "changes",
    [
        {"tenant": "other"},
        {"class_name": "com.app.Other"},
        {"case_id": "case-2"},
        {"version": 4},
        {"version": -3},
        {"subject": "customer-8"},
        {"key_id": UUID(int=7)},
        {"tenant": "acme\ud800"},
        {"version": 2**70},
        # Fields pushed into each other, quotes and all.
        {"tenant": 'acme","com.app.OrderCase', "class_name": "case-1"},
        {"case_id": 'case-1",3,"customer-7"]'},
    ],
    ids=str,
)
def test_a_snapshot_opens_in_its_own_place_only(changes: dict[str, object]) -> None:
    assert refused(KEY, CONTEXT._replace(**changes), SEALED) == ONE_TEXT  # type: ignore[arg-type]


@pytest.mark.requirement("trap-84")
def test_every_changed_bit_is_refused() -> None:
    for position in range(len(SEALED)):
        for bit in range(8):
            changed = bytearray(SEALED)
            changed[position] ^= 1 << bit
            assert refused(KEY, CONTEXT, bytes(changed)) == ONE_TEXT, (position, bit)


@pytest.mark.requirement("trap-84")
def test_every_shorter_and_some_longer_ones_are_refused() -> None:
    for length in range(len(SEALED)):
        assert refused(KEY, CONTEXT, SEALED[:length]) == ONE_TEXT
        assert refused(KEY, CONTEXT, SEALED[len(SEALED) - length :]) == ONE_TEXT
    for more in (b"\0", b"\0" * 16, SEALED):
        assert refused(KEY, CONTEXT, SEALED + more) == ONE_TEXT


@pytest.mark.parametrize("key", [b"", b"\0", KEY[:31], KEY + b"\0", OTHER_KEY])
def test_every_other_key_is_refused(key: bytes) -> None:
    assert refused(key, CONTEXT, SEALED) == ONE_TEXT


@pytest.mark.parametrize("head", [b"CSnp\x02\x01", b"CSnp\x01\x02", b"CSnp\x00\x01", b"csnp\x01\x01", b"\0" * 6])
def test_another_format_is_refused_and_names_no_key(head: bytes) -> None:
    sealed = head + SEALED[6:]
    assert refused(KEY, CONTEXT, sealed) == ONE_TEXT
    with pytest.raises(DecryptionFailed, match=ONE_TEXT.split(":")[0]):
        key_id_of(sealed)


def test_the_text_says_nothing_of_what_it_was_about() -> None:
    for word in ("acme", "case-1", "customer-7", "canary", "tag", "commit", KEY.hex(), str(KEY_ID)):
        assert word not in ONE_TEXT


@pytest.mark.parametrize(
    ("key", "salt", "nonce"), [(KEY[:16], SALT, NONCE), (KEY, SALT[1:], NONCE), (KEY, SALT, NONCE + b"\0")]
)
def test_sealing_with_other_lengths_is_a_bug_told_without_values(key: bytes, salt: bytes, nonce: bytes) -> None:
    with pytest.raises(ValueError, match="expected key, salt and nonce") as raised:
        seal(key, CONTEXT, DOCUMENT, salt=salt, nonce=nonce)
    assert key.hex() not in str(raised.value)


@pytest.mark.requirement("trap-84")
def test_a_ciphertext_of_two_keys_is_accepted_by_plain_gcm_and_refused_here() -> None:
    """Tags collide by choice: one free block x with x*(H1^3 + H2^3) = the difference of everything else (GHASH is linear)."""
    first, second = (hkdf_sha512(key, SALT, b"casestream snapshot 1.1: key and commitment", 64) for key in (KEY, OTHER_KEY))
    head = SEALED[:22]
    associated = head + PLACE
    rest = bytes(16)
    difference = [
        int.from_bytes(gcm_tag(derived[:32], NONCE, bytes(16) + rest, associated), "big") for derived in (first, second)
    ]
    cubes = [times(times(h, h), h) for h in (int.from_bytes(aes(d[:32], bytes(16)), "big") for d in (first, second))]
    crafted = times(difference[0] ^ difference[1], inverse(cubes[0] ^ cubes[1])).to_bytes(16, "big") + rest
    tag = gcm_tag(first[:32], NONCE, crafted, associated)

    for derived in (first, second):
        assert len(AESGCM(derived[:32]).decrypt(NONCE, crafted + tag, associated)) == 32, "plain GCM takes it under both"

    for derived, opening, other in ((first, KEY, OTHER_KEY), (second, OTHER_KEY, KEY)):
        sealed = head + SALT + derived[32:] + NONCE + crafted + tag
        assert len(open_sealed(opening, CONTEXT, sealed)) == 32
        assert refused(other, CONTEXT, sealed) == ONE_TEXT


def inverse(value: int) -> int:
    """value^(2^128 - 2)."""
    one = 1 << 127
    result, power = one, value
    for bit in range(128):
        if bit:
            result = times(result, power)
        power = times(power, power)
    return result


def test_the_inverse_is_one() -> None:
    assert times(inverse(0x1234567), 0x1234567) == 1 << 127


texts = st.text(alphabet=st.characters(codec="utf-8"), max_size=30)


contexts = st.builds(Context, texts, texts, texts, st.integers(-(2**63), 2**63 - 1), texts, st.uuids())
keys = st.binary(min_size=32, max_size=32)


@given(keys, contexts, st.binary(max_size=300), st.binary(min_size=32, max_size=32), st.binary(min_size=12, max_size=12))
@pytest.mark.requirement("CD-2")
def test_whatever_is_sealed_opens_by_both_decoders(
    key: bytes, context: Context, document: bytes, salt: bytes, nonce: bytes
) -> None:
    sealed = seal(key, context, document, salt=salt, nonce=nonce)
    assert open_sealed(key, context, sealed) == document
    place = (context.tenant, context.class_name, context.case_id, context.version, context.subject)
    assert decode(sealed, key, *place) == document
    assert key_id_of(sealed) == context.key_id


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255), st.integers(0, len(SEALED)), st.integers(0, 40))
def test_no_decoder_takes_what_the_other_refuses(position: int, flip: int, cut: int, more: int) -> None:
    changed = bytearray(SEALED)
    changed[position] ^= flip
    for sealed in (bytes(changed), SEALED[:cut] + bytes(more)):
        if sealed == SEALED:
            continue
        refused(KEY, CONTEXT, sealed)
        # The second one looks for no key id of its own: what it was told to open with decides.
        with pytest.raises((ValueError, IndexError)):
            decode(sealed, KEY, *("acme", "com.app.OrderCase", "case-1", 3, "customer-7"))


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_the_spelled_out_derivation_is_rfc_5869(key: bytes, salt: bytes) -> None:
    info = b"casestream snapshot 1.1: key and commitment"
    expected = HKDF(hashes.SHA512(), 64, salt, info).derive(key)
    assert hkdf_sha512(key, salt, info, 64) == expected
    sealed = seal(key, CONTEXT, b"", salt=salt, nonce=NONCE)
    assert sealed[54:86] == expected[32:]


# Project Wycheproof, testvectors_v1/hkdf_sha512_test.json, tcId 9, 12 and 18.
WYCHEPROOF_HKDF = [
    (
        "529e91a61895f1c4ceb5b6994f48783b", "12e4ae515328983bab2d88da3cb32a95", "",
        "9c40abb65d7ef9826758a9818668624907b2bc0d9ff6b80d60673d2fdd68418874f48bf1960d75e19c6594d7079b6b019d8e3ec98705a6b4886e122c9eab955e",
    ),
    (
        "7a00817689a3d79001825a864c69c120", "08bc01c053a6406c7c4a667c9b9b3894", "967ccd75395be6e96a67759f070487c9e2107791",
        "aed987bcc5ed33c4feec7b28aa9fe1c16b1181e00ff42c63cf692ec19242f6d4628604b3382db0806d5e61518f83fc651e6f3bd0a9d1322926a76869b98b75d6",
    ),
    (
        "d515f58eed428b2bac233c8538580e2f", "c2a3ad9db6621fceb7498c0e6287522077acd2d47b55c09d52e114943b37",
        "14de8cffd89e49275f69d2e1e6b43fa0c3775451",
        "04039af015d1b63b0af171e0fc283c06d19a0e4b1093fa5f8c721d85580c52799f13d644543c2249497492f55029ce9cd19a29cd84acbc1488724941a3fc97fc",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("key", "salt", "info", "expected"), WYCHEPROOF_HKDF)
def test_the_second_decoders_hkdf_gives_the_published_values(key: str, salt: str, info: str, expected: str) -> None:
    assert hkdf_sha512(bytes.fromhex(key), bytes.fromhex(salt), bytes.fromhex(info), 64).hex() == expected


def test_hmac_sha512_gives_the_values_of_rfc_4231() -> None:
    expected = (
        "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
        "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"
    )
    assert hmac.digest(b"\x0b" * 20, b"Hi There", "sha512").hex() == expected


def test_gcm_gives_the_values_of_its_specification() -> None:
    """The Galois/Counter Mode of Operation (McGrew, Viega), appendix B, test case 16: AES-256, with associated data."""
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
    nonce = bytes.fromhex("cafebabefacedbaddecaf888")
    associated = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    ciphertext = bytes.fromhex(
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
    )
    tag = bytes.fromhex("76fc6ece0f4e1768cddf8853bb2d551b")
    plain = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    assert gcm_open(key, nonce, ciphertext, tag, associated) == plain
    assert AESGCM(key).decrypt(nonce, ciphertext + tag, associated) == plain
    with pytest.raises(InvalidTag):
        AESGCM(key).decrypt(nonce, ciphertext + tag, associated + b"\0")

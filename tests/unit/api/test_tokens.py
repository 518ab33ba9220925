"""Only a good token of a pinned issuer proves anything; keys are followed when the issuer rotates them."""

import asyncio

import pytest

from api.auth import CACHE_SECONDS, Principal, bearer_token
from api.key_sets import FRESH_SECONDS, PAUSE_SECONDS, KeySet
from schemas.errors import TransientError
from tests.unit.api.hostile_tokens import hostile_tokens
from tests.unit.api.tokens import ED, ISSUER, NOW, P256, P384, Published, World, public_keys, settings, token

AN = Principal("north", "an", frozenset({"agent"}))


@pytest.mark.parametrize(
    "good",
    [
        token(),
        token(algorithm="PS256"),
        token(kid="rsa-only-256"),
        token(P256, "ES256", "p256"),
        token(P384, "ES384", "p384"),
        token(ED, "EdDSA", "ed"),
        token(aud=["other", "casestream"]),
        token(exp=int(NOW) - 29),
        token(nbf=int(NOW) + 29),
        token(header={"typ": "at+jwt"}),
    ],
)
@pytest.mark.requirement("SP-8")
async def test_a_good_token_names_tenant_user_and_roles(good: str) -> None:
    assert await World().verifier().verify(good) == AN


@pytest.mark.requirement("SP-8")
async def test_a_token_without_roles_proves_who_but_allows_nothing() -> None:
    assert await World().verifier().verify(token(roles=None)) == Principal("north", "an", frozenset())


@pytest.mark.requirement("SP-8")
async def test_no_hostile_token_is_accepted() -> None:
    corpus = list(hostile_tokens())
    verifier = World().verifier()
    accepted = [name for name, hostile in corpus if await verifier.verify(hostile) is not None]
    assert accepted == []
    assert len({text for _, text in corpus}) >= 60


async def test_the_corpus_would_notice_a_verifier_that_accepts_everything() -> None:
    verifier = World().verifier()
    assert await verifier.verify(token()) is not None


async def test_another_algorithm_of_the_same_key_is_refused_when_it_is_not_pinned() -> None:
    assert await World().verifier(settings(("ES256",))).verify(token()) is None


async def test_a_verified_token_is_remembered_until_it_expires() -> None:
    world = World()
    verifier = world.verifier()
    short = token(exp=int(NOW) + 5)
    assert await verifier.verify(short) == AN
    world.clock.now += 4
    assert await verifier.verify(short) == AN
    world.clock.now += 40
    assert await verifier.verify(short) is None


async def test_a_withdrawn_key_ends_its_tokens_within_the_cache_times() -> None:
    world = World()
    verifier = world.verifier()
    long = token(exp=int(NOW) + 86_400)
    assert await verifier.verify(long) == AN
    world.published.document = {"keys": [key for key in public_keys()["keys"] if key.get("kid") == "ed"]}
    world.clock.now += CACHE_SECONDS + FRESH_SECONDS + 1
    assert await verifier.verify(long) is None


async def test_a_new_key_is_found_without_waiting_for_the_cache() -> None:
    world = World()
    world.published.document = {"keys": []}
    verifier = world.verifier()
    assert await verifier.verify(token()) is None
    world.published.document = public_keys()
    world.clock.now += PAUSE_SECONDS + 1
    assert await verifier.verify(token()) == AN


async def test_unknown_key_ids_cannot_make_us_read_the_set_again_and_again() -> None:
    world = World()
    verifier = world.verifier()
    for number in range(50):
        assert await verifier.verify(token(kid=f"unknown-{number}")) is None
    assert world.published.reads == 1


async def test_known_keys_stay_good_while_the_issuer_is_away() -> None:
    world = World()
    verifier = world.verifier()
    assert await verifier.ready()
    world.published.away = True
    world.clock.now += FRESH_SECONDS + 1
    assert await verifier.verify(token(exp=int(NOW) + 7200)) == AN


async def test_a_hanging_issuer_keeps_no_known_key_waiting() -> None:
    world = World()
    verifier = world.verifier()
    assert await verifier.ready()
    world.published.answers.clear()
    world.clock.now += FRESH_SECONDS + 1
    tokens = [token(sub=f"user-{number}", exp=int(NOW) + 7200) for number in range(20)]

    async with asyncio.timeout(4):
        found = await asyncio.gather(*(verifier.verify(each) for each in tokens))

    assert all(found)
    assert world.published.reads == 2
    world.published.answers.set()


async def test_reading_keys_has_a_deadline_and_comes_again_after_a_pause() -> None:
    world = World()
    keys = KeySet(world.published.read, settings().algorithms, world.clock, deadline=0.01)
    world.published.answers.clear()
    with pytest.raises(TransientError):
        await keys.find("rsa")
    world.published.answers.set()
    world.clock.now += PAUSE_SECONDS + 1
    assert await keys.ready()


async def test_keys_that_were_never_read_are_a_transient_fault_and_no_refusal() -> None:
    world = World(published=Published())
    world.published.away = True
    with pytest.raises(TransientError):
        await world.verifier().verify(token())
    assert not await world.verifier().ready()


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"Basic eDp5")],
        [(b"authorization", b"Bearer")],
        [(b"authorization", b"Bearer a.b.c"), (b"authorization", b"Bearer a.b.c")],
        [(b"x-authorization", b"Bearer a.b.c")],
    ],
)
def test_only_one_bearer_header_is_read(headers: list[tuple[bytes, bytes]]) -> None:
    assert bearer_token(headers) is None


def test_the_scheme_is_case_insensitive() -> None:
    assert bearer_token([(b"authorization", b"bEaReR  a.b.c ")]) == "a.b.c"


def test_the_issuer_is_compared_exactly() -> None:
    assert settings().issuer == ISSUER

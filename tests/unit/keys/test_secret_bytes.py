"""A data key's bytes; that nothing of them is left in a process is shown by tests/e2e/erasure, which reads its memory."""

from runtime.keys.secret_bytes import SecretBytes, erasable, fresh_secret


def test_they_are_overwritten_when_nobody_holds_them() -> None:
    overwritten: list[bytes] = []

    class Watched(SecretBytes):
        def __del__(self) -> None:
            super().__del__()
            overwritten.append(bytes(self))

    secret = Watched(b"k" * 32)
    another_holder = secret
    del secret
    assert overwritten == []
    del another_holder
    assert overwritten == [bytes(32)]


def test_they_are_used_like_bytes_and_shown_in_no_text() -> None:
    secret = erasable(b"k" * 32)
    assert secret == b"k" * 32
    assert erasable(secret) is secret, "no further copy"
    assert (repr(secret), str(secret)) == ("SecretBytes(32)", "SecretBytes(32)")


def test_fresh_ones_differ() -> None:
    one, other = fresh_secret(32), fresh_secret(32)
    assert len(one) == 32
    assert one != other != bytes(32)

"""Ten million messages in short: the full count is in tests/torture/keys."""

from array import array

import pytest

from tests.unit.keys.encryptions import check_messages, many_messages, repeated


@pytest.mark.requirement("trap-84")
def test_messages_share_no_salt_and_no_nonce_and_keys_are_read_again() -> None:
    figures = many_messages(25_000)
    check_messages(figures)
    assert figures["key_reads"] == 3
    assert 0 < figures["under_the_old_key_after_its_rotation"] < 10_000


def test_control_a_value_that_comes_twice_is_counted() -> None:
    assert repeated(array("Q", [1, 2, 1_025, 2, 2])) == 2

"""The fair split of sixteen shards."""

import pytest

from outbox_relay.lease import fair_share


@pytest.mark.parametrize(("live", "share"), [(0, 16), (1, 16), (2, 8), (3, 6), (5, 4), (16, 1), (40, 1)])
def test_the_shares_of_all_relays_cover_all_shards(live: int, share: int) -> None:
    assert fair_share(live) == share
    assert share * max(1, live) >= 16

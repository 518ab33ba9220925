"""A rate is kept over any batches, and a new one counts at once."""

from projections.rebuild.pace import Pace


def test_a_batch_is_owed_by_its_size_and_paid_by_time() -> None:
    now = 100.0
    pace = Pace(lambda: now)
    pace.spend(10_000)
    assert pace.owed() == 0.0, "no rate, no debt"
    pace.rate = 50.0
    pace.spend(100)
    assert pace.owed() == 2.0
    now += 1.5
    pace.spend(25)
    assert pace.owed() == 1.0
    now += 10
    assert pace.owed() == 0.0
    pace.spend(50)
    assert pace.owed() == 1.0, "idle time is not saved up"
    pace.rate = None
    assert pace.owed() == 0.0, "a debt under a rate that is gone is forgotten"

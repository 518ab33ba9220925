"""Work items over HTTP: the documents' paths, bodies and error codes on a real database."""

from uuid import uuid4

import pytest

from tests.integration.api.conftest import ITEMS, Served


@pytest.mark.requirement("WI-3", "WI-4")
async def test_a_request_is_created_open_and_then_acted_upon(served: Served) -> None:
    created = await served.create()
    assert (created["oldStatus"], created["newStatus"], created["statusChanged"]) == ("draft", "open", True)
    started = (await served.act(created["workItemId"], "StartWork")).json()
    assert started == {
        "workItemId": created["workItemId"],
        "oldStatus": "open",
        "newStatus": "in_progress",
        "statusChanged": True,
        "displayStatus": "Đang xử lý",
        "allowedNextActions": [
            "Assign",
            "SetWaitingInternal",
            "SetWaitingCustomer",
            "SetWaitingExternal",
            "Resolve",
            "Cancel",
        ],
        "version": created["version"] + 1,
        "cycle": 0,
    }

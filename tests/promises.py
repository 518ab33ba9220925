"""P5's times as the suite holds them.

The suite shares its machine with whatever else runs there, so the promised 10 and 30 seconds are judged by the full runs alone
(`make torture`). These still tell a takeover from one that waits for a client's default (45 s) or for ever.
"""

PROCESS_SECONDS, SERVER_SECONDS = 30.0, 60.0

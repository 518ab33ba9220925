"""How rows get into table versions, and how analysts' questions fare under row level security."""

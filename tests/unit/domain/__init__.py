"""Work items and their neighbours: pure rules."""

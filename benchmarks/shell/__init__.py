"""The board's events per second through the shell, beside a bare loop that writes the same rows."""

"""B5, the command function: actions per second on work items beside pgbench writing the same rows."""

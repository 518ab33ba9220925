"""How processes live: one process that runs parts until it is told to stop, and a supervisor of such processes.

Knows no business: what a role consists of is wired in `runtime.cli.roles`.
"""

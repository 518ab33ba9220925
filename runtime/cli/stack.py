"""`casestream up | down | status | doctor`: the local stack at the terminal."""

from dataclasses import asdict

import typer

from runtime.cli import output
from runtime.cli.exits import ExitCode
from runtime.stack.home import default_home


def up() -> None:
    """Start the local PostgreSQL and Kafka; what runs already is left alone."""
    from runtime.stack.local import up as start

    home = default_home()
    state = start(home, output.remark)
    output.show_record(
        {
            "home": str(home.root),
            "postgresql": f"127.0.0.1:{state.postgres_port}",
            "kafka": state.bootstrap_servers,
            "logs": str(home.logs),
        }
    )
    output.remark("next: casestream db migrate && casestream topics apply")


def down() -> None:
    """Stop the local stack; no process is left. The data stays."""
    from runtime.stack.local import down as stop

    ended = stop(default_home(), output.remark)
    output.remark(f"{ended} server(s) stopped" if ended else "nothing was running")


def status() -> None:
    """Pid, address, uptime and data size of each server; exit code 3 unless all run."""
    from runtime.stack.local import status as read

    servers = read(default_home())
    output.show_rows(asdict(server) for server in servers)
    if not all(server.running for server in servers):
        raise typer.Exit(ExitCode.PRECONDITION)


def doctor() -> None:
    """Examine the stack and its parts; exit code 3 when something is broken."""
    from runtime.stack.doctor import examine

    findings = examine(default_home())
    output.show_rows(asdict(finding) for finding in findings)
    if not all(finding.sound for finding in findings):
        raise typer.Exit(ExitCode.PRECONDITION)

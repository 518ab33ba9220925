"""What the chapter prints: its books, parity, the erased subject, and analysts' answers by psql and DuckDB."""

import importlib.util
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from rich.console import Console

from demo.cases.story import LIVE_PER_SECOND, TABLE, CaseBooks
from runtime.stack.postgres_programs import find_postgres

PACKED = """select warehouse, count(*) as orders, sum(order_total) as total
from analytics.case_plain_order_case where currency = 'VND' group by warehouse order by warehouse"""
SOLD = """select i.sku, sum(i.quantity) as sold
from analytics.case_plain_order_case_items i group by i.sku order by sold desc, i.sku limit 3"""
HANDED_ON = """select priority, count(*) as incidents, sum(reassignment_count) as handed_on
from analytics.case_plain_incident group by priority order by priority"""


@dataclass(frozen=True, slots=True)
class Login:
    """An analyst's way into the database."""

    url: str
    password_file: Path

    @property
    def password(self) -> str:
        return self.password_file.read_text(encoding="utf-8").strip()

    def address(self, password: str = "") -> str:
        """The login's address, with this password or with none."""
        parts = urlsplit(self.url)
        user, _, host = parts.netloc.rpartition("@")
        login = user.partition(":")[0] + (f":{quote(password)}" if password else "")
        return urlunsplit(parts._replace(netloc=f"{login}@{host}"))


def show_cases(console: Console, books: CaseBooks, login: Login) -> bool:
    """Print everything; True when the books balance."""
    for line in [*_lines(books), "", *_answers(login)]:
        console.print(line, highlight=False, soft_wrap=True)
    problems = books.problems()
    for problem in problems:
        console.print(f"[red]The books of the cases do not balance:[/red] {problem}")
    if not problems:
        console.print("[green]The books of the cases balance.[/green]")
    return not problems


def _lines(books: CaseBooks) -> list[str]:
    return [
        f"{books.snapshots:,} snapshots of {books.cases:,} cases: sealed, stored and shown in {books.seconds:.1f} s",
        f"{TABLE} rebuilt from the topic with one more column in {books.rebuilt_in:.1f} s",
        f"  meanwhile {books.live:,} snapshots came in ({LIVE_PER_SECOND}/s)",
        f"  an analyst asked {books.reads:,} times and got {len(books.read_errors)} errors",
        f"  parity: {books.parity.get('verdict')}",
        f"  {books.filled:,} of {books.newest:,} orders at their newest version, with the new column",
        f"{books.subject} was forgotten in {books.gone_after:.1f} s: {books.rows_before} rows before, {books.rows_after} after",
        f"  reading the case answers {books.status_after}",
    ]


def _answers(login: Login) -> list[str]:
    return [
        f"What was packed where (psql)\n{_psql(login, PACKED)}\n",
        f"Incidents by priority, and how often they were handed on (psql)\n{_psql(login, HANDED_ON)}\n",
        f"Sold most (DuckDB)\n{_duckdb(login, SOLD)}",
    ]


def _psql(login: Login, query: str) -> str:
    beside = find_postgres().folder / "psql"
    program = str(beside) if beside.exists() else shutil.which("psql")
    if program is None:
        return "no psql on this machine; the query:\n" + query
    command = (program, login.address(), "--no-psqlrc", "--pset", "footer=off", "--command", query)
    environment = {"PATH": os.environ["PATH"], "PGPASSWORD": login.password}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return done.stdout.rstrip() or done.stderr.strip()


def _duckdb(login: Login, query: str) -> str:
    """DuckDB with its PostgreSQL scanner, both from packages: nothing is fetched."""
    if importlib.util.find_spec("duckdb") is None or importlib.util.find_spec("duckdb_extensions") is None:
        return "DuckDB is not installed; the query:\n" + query
    import duckdb
    from duckdb_extensions import import_extension

    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as conn:
        import_extension("postgres_scanner", con=conn)
        conn.execute("load postgres_scanner")
        conn.execute(f"attach '{login.address(login.password)}' as casestream (type postgres, read_only)")
        return str(conn.sql(query.replace("analytics.", "casestream.analytics."))).rstrip()

"""`casestream message-template save | list | show | preview | remove`: a tenant's message templates, as cs_worker.

A file has the words, as YAML: `name`, `subject`, `text`, and `html` where there is one.
"""

from pathlib import Path
from typing import Annotated, Any

import asyncpg
import orjson
import typer
import yaml

from domain.message_templates import commands, reads
from domain.message_templates.commands import Draft
from domain.message_templates.wording import Wording, missing_in, rendered, variables_of
from runtime.cli import operating, output
from runtime.cli.exits import ExitCode
from runtime.postgres import tenants_transaction
from runtime.settings import Settings
from schemas.errors import ConfigurationError, Rejected

app = typer.Typer(no_args_is_help=True, help="Message templates of a tenant.")

_Id = Annotated[str, typer.Argument(metavar="TEMPLATE", help="The template's id, such as 123.")]
_Tenant = Annotated[str, typer.Option(help="The tenant.")]
_Version = Annotated[int | None, typer.Option("--version", min=1, help="A version; the newest when absent.")]
_WORDS = ("name", "subject", "text", "html")
_PAGE = 1_000


@app.command("save")
def save(
    template: _Id,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="YAML: name, subject, text, html.")],
    tenant: _Tenant,
    reason: Annotated[str, typer.Option(help="Why; kept with the version.")] = "",
) -> None:
    """Save the template's next version; what is wrong with the words is told at once."""
    words = _read(file)
    draft = Draft(template, words["name"], Wording(words["subject"], words["text"], words.get("html")), reason)

    async def work(_: Settings, pool: asyncpg.Pool) -> int | Rejected:
        async with tenants_transaction(pool, [tenant]) as conn:
            return await commands.save_template(conn, tenant, draft, author=operating.actor())

    try:
        version = operating.run(work)
    except asyncpg.ForeignKeyViolationError:
        raise ConfigurationError([f"--tenant {tenant}: there is none of this name; add it first"]) from None
    except asyncpg.CheckViolationError:
        raise ConfigurationError([f"TEMPLATE={template}: expected letters, digits, _ . and -"]) from None
    output.show_record({"template": template, "version": _good(version), "variables": variables_of(draft.wording)})


@app.command("list")
def list_templates(tenant: _Tenant) -> None:
    """The tenant's templates by id."""

    async def work(_: Settings, pool: asyncpg.Pool) -> list[dict[str, Any]]:
        async with tenants_transaction(pool, [tenant]) as conn:
            return await reads.list_templates(conn, tenant, page_size=_PAGE)

    output.show_rows(operating.run(work), columns=("template_id", "version", "name", "subject", "author", "updated_at"))


@app.command("show")
def show(template: _Id, tenant: _Tenant, version: _Version = None) -> None:
    """One version's words and the paths that they read."""
    found = _find(template, tenant, version)
    words = found.wording
    shown = {"template": template, "version": found.version, "name": found.name, "subject": words.subject}
    output.show_record({**shown, "text": words.text, "html": words.html, "variables": variables_of(words)})


@app.command("preview")
def preview(
    template: _Id,
    tenant: _Tenant,
    values: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSON object of values.")],
    version: _Version = None,
) -> None:
    """The message as these values make it. Nothing is sent."""
    given = orjson.loads(values.read_bytes())
    if not isinstance(given, dict):
        raise ConfigurationError([f"{values}: expected a JSON object"])
    words = _find(template, tenant, version).wording
    made = _good(rendered(words, given))
    output.show_record({"subject": made.subject, "text": made.text, "html": made.html, "missing": missing_in(words, given)})


@app.command("remove")
def remove(template: _Id, tenant: _Tenant) -> None:
    """Let the template be chosen no longer; its versions stay to be read."""

    async def work(_: Settings, pool: asyncpg.Pool) -> None:
        async with tenants_transaction(pool, [tenant]) as conn:
            await commands.remove_template(conn, tenant, template, author=operating.actor())

    operating.run(work)
    output.show_record({"template": template, "removed": True})


def _find(template: str, tenant: str, version: int | None) -> reads.StoredTemplate:
    async def work(_: Settings, pool: asyncpg.Pool) -> reads.StoredTemplate:
        async with tenants_transaction(pool, [tenant]) as conn:
            return await reads.get_template(conn, tenant, template, version)

    return operating.run(work)


def _read(file: Path) -> dict[str, str]:
    try:
        words = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"{file}: no YAML ({type(error).__name__})"]) from None
    given = words if isinstance(words, dict) else {}
    texts = all(isinstance(value, str) for value in given.values())
    if not texts or given.keys() - set(_WORDS) or set(_WORDS[:3]) - given.keys() or not given["name"]:
        raise ConfigurationError([f"{file}: expected the texts name, subject, text, and html where there is one"])
    return given


def _good(outcome: Any) -> Any:
    if isinstance(outcome, Rejected):
        errors: Any = outcome.details.get("errors", [])
        for each in errors:
            output.remark(f"{each['pointer']}: {each['code']}: {each['message']}")
        output.remark(f"casestream: {outcome.code}: {outcome.message}")
        raise typer.Exit(ExitCode.FAILED)
    return outcome

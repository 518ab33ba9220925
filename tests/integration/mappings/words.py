"""Classes for the tests of mappings in the database, in the files' words."""

from typing import Any

from domain.cases.mapping.files import read_text
from domain.cases.mapping.graph import graph_of
from domain.cases.mapping.model import Graph
from domain.cases.mapping_store.commands import Changed, Draft, Editor, Order
from schemas.errors import Rejected

FILES = """
module: shop
classes:
  - className: FlowableObject
    module: core
    abstract: true
    mappings:
      - {plainColumn: CREATED_BY, jsonPath: $.startUserId, exposed: true}
  - className: WorkObject
    module: core
    parent: FlowableObject
    abstract: true
    mappings:
      - {plainColumn: BUSINESS_KEY, jsonPath: $.businessKey, exposed: true}
  - className: com.shop.Audit
    isMixin: true
    mappings:
      - {plainColumn: touched_by, jsonPath: $.touchedBy}
  - className: com.shop.Order
    parent: WorkObject
    mixins: [com.shop.Audit]
    mappings:
      - {plainColumn: total, jsonPath: $.total, type: "numeric(12,2)"}
      - {plainColumn: customer, jsonPath: $.customer.name, sensitivity: mask}
  - className: com.shop.RushOrder
    parent: com.shop.Order
    mappings:
      - {plainColumn: total, jsonPath: $.rushTotal, type: "numeric(14,2)"}
"""
ORDER, RUSH, AUDIT = "com.shop.Order", "com.shop.RushOrder", "com.shop.Audit"
AN, BO = Editor("north", "an"), Editor("north", "bo")


def files() -> Graph:
    """The classes of FILES."""
    definitions, problems = read_text(FILES, "shop.yaml")
    assert problems == []
    return graph_of(definitions)[0]


def column(name: str, path: str | None = None, **more: Any) -> dict[str, Any]:
    """One mapping."""
    said = {"plainColumn": name, **({} if more.get("remove") else {"jsonPath": path or f"$.{name.lower()}"})}
    return said | more


def order(*columns: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The order's class with these mappings."""
    return {"className": ORDER, "parent": "WorkObject", "mappings": list(columns), **more}


TOTAL = column("total", "$.total", type="numeric(12,2)")


def draft(body: dict[str, Any], expected: int | None = None, reason: str = "a test") -> Draft:
    """The body as a draft of the class that it names."""
    return Draft(body["className"], body, reason, expected)


def done(outcome: object) -> list[Changed]:
    """What was changed, or the test fails with the refusal."""
    assert not isinstance(outcome, Rejected), outcome
    return outcome if isinstance(outcome, list) else [outcome]  # type: ignore[list-item]


def problems(outcome: object) -> set[tuple[str, str]]:
    """Pointer and code of each problem that a change was refused for."""
    assert isinstance(outcome, Rejected), outcome
    assert outcome.code == "MappingRefused", outcome
    errors: Any = outcome.details["errors"]
    return {(each["pointer"], each["code"]) for each in errors}


__all__ = ["AN", "AUDIT", "BO", "ORDER", "RUSH", "TOTAL", "Order", "column", "done", "draft", "files", "order", "problems"]

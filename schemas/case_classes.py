"""The format of case classes: what a file under definitions/cases/ and the body of a mapping say, in S4's words.

Shape only. Whether names, paths and types are good is for `casestream mapping lint`, which also knows the lines.
"""

from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel

MODULE_PATTERN = r"^[a-z][a-z0-9_-]{0,62}$"

ClassName = Annotated[StrictStr, Field(max_length=200, pattern=r"^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*$")]
ModuleName = Annotated[StrictStr, Field(pattern=MODULE_PATTERN)]
PlainName = Annotated[StrictStr, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
# YAML reads the bare word null as no value; here it is the name of a policy, and editors should take both.
Policy = Annotated[
    Literal["null", "default", "incident"],
    BeforeValidator(lambda value: "null" if value is None else value),
    WithJsonSchema({"enum": ["null", None, "default", "incident"]}),
]


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)


class ColumnMapping(_Part):
    """How one column is filled, or with `remove` that it is taken away."""

    plain_column: PlainName = Field(description="The column's name. Case makes no difference.")
    json_path: Annotated[StrictStr, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")] | None = Field(
        None, description="RFC 9535: `$.items[0].sku`, `$.params['region']`; one `[*]` makes rows of a child table."
    )
    type: (
        Annotated[
            StrictStr,
            Field(pattern=r"^(text|integer|bigint|numeric(\(\d{1,4}(, ?\d{1,4})?\))?|boolean|date|timestamptz|uuid|jsonb)$"),
        ]
        | None
    ) = Field(None, description="Left out: that of the mapping that this one replaces, or text.")
    remove: StrictBool = Field(False, description="Take the column away; a more specific level may map it again.")
    exposed: StrictBool = Field(False, description="Also a column of the work table case_work.")
    indexed: StrictBool = Field(True, description="A column of the class's own table.")
    sensitivity: Literal["none", "mask", "hash", "encrypt"] = Field("none", description="What is kept instead of the value.")
    on_missing: Policy = Field("null", description="When the path leads nowhere.")
    on_null: Policy = Field("null", description="When the value is null.")
    on_error: Policy = Field("incident", description="When the value does not fit the type.")
    default: StrictStr | StrictBool | Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)] | None = Field(
        None, description="For the policy `default`. A decimal is written as text."
    )
    child_table: PlainName | None = Field(None, description="End of the child table's name, for a path with `[*]`.")

    @model_validator(mode="after")
    def _says_one_thing(self) -> "ColumnMapping":
        if self.remove and self.json_path is not None:
            raise ValueError("`remove` takes the column away, so it has no jsonPath")
        if not self.remove and self.json_path is None:
            raise ValueError("jsonPath is missing: say where the value is, or `remove: true`")
        wants = "default" in (self.on_missing, self.on_null, self.on_error)
        if wants and self.default is None:
            raise ValueError("a policy says default, and there is no default")
        if self.default is not None and not wants:
            raise ValueError("default is given, and no policy uses it: say `default` in onMissing, onNull or onError")
        return self


class CaseClass(_Part):
    """One class or mixin."""

    class_name: ClassName = Field(description="As snapshots say it: com.app.OrderCase.")
    parent: ClassName | None = Field(None, description="The class that it extends.")
    mixins: list[ClassName] = Field(default_factory=list, description="From weak to strong: the last one wins.")
    is_mixin: StrictBool = Field(False, description="Only mixed into classes: it has no table.")
    abstract: StrictBool = Field(False, description="Only extended: it has no cases and no table.")
    module: ModuleName | None = Field(None, description="Who owns it; in a file that of the file.")
    table: PlainName | None = Field(None, description="End of the table's name; else the class's name in snake case.")
    mappings: list[ColumnMapping] = Field(default_factory=list)


class CaseClassFile(_Part):
    """A file of definitions/cases/."""

    module: ModuleName = Field(description="Who owns these classes.")
    classes: list[CaseClass]

"""Facts about operators: what each is asked of, and which value types it fits (RU-3, RU-4, RU-5)."""

from typing import Final, Literal

from schemas.rules import Operator, TriggerType, ValueType

# What an operator's `value` must be.
Shape = Literal["none", "one", "one or nothing", "list", "range"]

PRESENCE: Final = frozenset({Operator.IS_NULL, Operator.IS_NOT_NULL, Operator.IS_EMPTY, Operator.IS_NOT_EMPTY})
ORDER: Final = frozenset(
    {
        Operator.GREATER_THAN,
        Operator.GREATER_THAN_OR_EQUALS,
        Operator.LESS_THAN,
        Operator.LESS_THAN_OR_EQUALS,
        Operator.BETWEEN,
    }
)
CASELESS: Final = frozenset({Operator.CONTAINS, Operator.NOT_CONTAINS, Operator.STARTS_WITH, Operator.ENDS_WITH})
MEMBERSHIP: Final = frozenset({Operator.IN, Operator.NOT_IN})
# They look at what was before: `was` alone or `was` and `is`.
CHANGES: Final = frozenset({Operator.CHANGED, Operator.CHANGED_TO, Operator.CHANGED_FROM})
EARLIER: Final = frozenset({Operator.WAS, Operator.WAS_NOT})
FAMILY: Final = CHANGES | EARLIER
# The same question, the answer turned round; a value that does not fit the type is "not equal".
NEGATED: Final = {
    Operator.NOT_EQUALS: Operator.EQUALS,
    Operator.NOT_CONTAINS: Operator.CONTAINS,
    Operator.NOT_IN: Operator.IN,
    Operator.WAS_NOT: Operator.WAS,
}

_ALL: Final = frozenset(ValueType)
_ORDERED: Final = frozenset({ValueType.NUMBER, ValueType.DATE, ValueType.DATETIME})
_COUNTABLE: Final = _ALL - {ValueType.BOOLEAN}
_TEXT: Final = frozenset({ValueType.STRING})


def legal_types(operator: Operator) -> frozenset[ValueType]:
    """The value types that an operator fits."""
    if operator in ORDER:
        return _ORDERED
    if operator in CASELESS:
        return _TEXT
    return _COUNTABLE if operator in MEMBERSHIP else _ALL


def shape_of(operator: Operator) -> Shape:
    """What `value` must be. "one or nothing": without a value the field is asked to be without one."""
    if operator in PRESENCE or operator is Operator.CHANGED:
        return "none"
    if operator in MEMBERSHIP:
        return "list"
    if operator is Operator.BETWEEN:
        return "range"
    return "one or nothing" if operator in FAMILY else "one"


def may_hold(operator: Operator, trigger: TriggerType) -> bool:
    """Whether the operator can ever be met by what the trigger sees: only updates have a before and an after."""
    if operator in CHANGES:
        return trigger in _SEE_BOTH
    return operator not in EARLIER or trigger in _SEE_BOTH or trigger is TriggerType.ON_DELETE


_SEE_BOTH: Final = frozenset({TriggerType.ON_UPDATE, TriggerType.ON_FIELD_CHANGE, TriggerType.ON_STAGE_CHANGE})


def canonical(operator: Operator | None, check_old: bool, comparison: Operator | None) -> Operator | None:
    """The one operator that flag and comparison mean together (traps 18, 20); None: they mean nothing.

    `checkOldValue` with EQUALS and NOT_EQUALS asks the old value: WAS and WAS_NOT.
    """
    if not check_old:
        return operator
    if comparison is not None:
        return comparison if comparison in FAMILY else None
    return _OF_OLD.get(operator) if operator is not None else None


_OF_OLD: Final = {Operator.EQUALS: Operator.WAS, Operator.NOT_EQUALS: Operator.WAS_NOT} | {name: name for name in FAMILY}

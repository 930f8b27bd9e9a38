"""Plain numbers of Python from those of any kind that a user gives.

Owns no meaning of any of them.  Numbers of numpy don't fit into JSON, and say another thing than
their digits where a list of them is written; a step of 8.0 isn't what i-PI reads as an integer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ncforce_ipi.errors import InputError


def settle(found: object, whole: Sequence[str] = (), real: Sequence[str] = ()) -> None:
    """Put plain numbers into attributes of a frozen dataclass; None stays.

    Parameters
    ----------
    whole : names of whole numbers
    real : names of other numbers

    Raises
    ------
    InputError
        One of them is no such number.
    """
    for names, plain in ((whole, whole_number), (real, real_number)):
        for name in names:
            value = getattr(found, name)
            if value is not None:
                object.__setattr__(found, name, plain(value, name))


def whole_number(value: Any, name: str) -> int:
    """As Python's integer; 8.0 is one.

    Raises
    ------
    InputError
        It is no whole number.
    """
    try:
        number = int(value)
        if isinstance(value, str | bytes) or number != value:
            raise ValueError
    except (TypeError, ValueError, OverflowError) as err:
        raise InputError(f"{name}: expected a whole number, got {value!r}") from err
    return number


def real_number(value: Any, name: str) -> float:
    """As Python's number; integers of Python stay.

    Raises
    ------
    InputError
        It is no number.
    """
    if type(value) in (int, float):
        return value
    try:
        if isinstance(value, str | bytes):
            raise ValueError
        return float(value)
    except (TypeError, ValueError) as err:
        raise InputError(f"{name}: expected a number, got {value!r}") from err

"""Lines of numbers in fixed columns, as programs print them, to arrays: many rows at once.

Owns the text of a trajectory's atoms; knows no file and no unit.  A row of i-PI's xyz
(``%8s %12.5e %12.5e %12.5e``) or of ASE's extxyz (``%-2s %16.8f ...``) has its points, exponents
and last digits in the same columns as every other row.  So the digits in the same eight columns
of all rows become one integer each, at once (`textdigits`).  Every character of a number is
checked; text of another shape is left to whoever asks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.reading.textdigits import WORD, digits, integers, joined

ROWS_AT_ONCE = 8192  # temporary arrays of a part stay in the processor's cache
MOST_DIGITS = 15  # more don't fit a float64
_NUMBER = re.compile(rb"-?(\d+)\.(\d+)(?:([eE])[+-](\d+))?")
_ZERO, _NINE, _BLANK, _MINUS, _PLUS, _POINT = b"09 -+."
_POWERS = 10.0 ** np.arange(23)  # exact


@dataclass(frozen=True)
class Field:
    """Columns of one number: point, end of the fraction, end of the number (exclusive)."""

    point: int
    fraction_end: int
    end: int

    @property
    def n_fraction(self) -> int:
        """Digits after the point."""
        return self.fraction_end - self.point - 1


@dataclass(frozen=True)
class Layout:
    """Columns of a row.

    Attributes
    ----------
    width : bytes of a row, the newline included
    fields : of the numbers wanted, from left to right
    """

    width: int
    fields: tuple[Field, ...]


def layout_of(line: bytes, columns: Sequence[int]) -> Layout | None:
    """The layout that a first row suggests; None where its numbers have no decimal point.

    Parameters
    ----------
    line : a row with its newline
    columns : which words of it are wanted, negative ones count from the end; rising
    """
    words = list(re.finditer(rb"\S+", line))
    fields = []
    for column in columns:
        if not -len(words) <= column < len(words):
            return None
        match = _NUMBER.fullmatch(words[column].group())
        if match is None:
            return None
        start = words[column].start()
        fields.append(Field(start + match.end(1), start + match.end(2), start + match.end()))
    return Layout(len(line), tuple(fields)) if len(line) >= WORD else None


def parse_rows(text: NDArray[np.uint8], layout: Layout) -> NDArray[np.float64] | None:
    """Numbers of rows that all have this layout; None if a row hasn't.

    Bit by bit Python's ``float``: an integer of up to 15 digits times or over a power of ten, which
    is exact up to 10^22.  Beyond (ten digits of a number below 1e-13) the last bit may differ.

    Parameters
    ----------
    text : ``(n_rows, width)``, bytes, contiguous

    Returns
    -------
    ``(n_rows, n_fields)``
    """
    values = np.empty((len(text), len(layout.fields)))
    rows = -(-len(text) // max(-(-len(text) // ROWS_AT_ONCE), 1))  # parts of one size
    for start in range(0, len(text), rows):
        part = text[start : start + rows]
        low, high = _of_columns(np.minimum, part), _of_columns(np.maximum, part)
        lowest, highest = _bounds(layout)
        if (low < lowest).any() or (high > highest).any():
            return None
        for index, field in enumerate(layout.fields):
            found = _parse_field(part, field, low, high)
            if found is None:
                return None
            values[start : start + rows, index] = found
    return values


def columns_of_words(lines: Sequence[bytes], words: Sequence[int]) -> list[range]:
    """Columns of rows that hold each of these words and the blanks beside it, in all of the rows.

    Parameters
    ----------
    lines : rows of one width
    words : which, from 0
    """
    width, regions = len(lines[0]), []
    for word in words:
        rests = [line.split(None, word)[word] for line in lines]  # from that word on
        first = width - max(map(len, rests))
        end = max(width - len(rest) + len(rest.split(None, 1)[0]) for rest in rests)
        regions.append(range(max(first - 1, 0), min(end + 1, width)))
    return regions


def words_between(text: NDArray[np.uint8], width: int, columns: range) -> list[NDArray[np.uint64]]:
    """Columns of all rows of frames ``(n_frames, n_rows * width)``, up to eight in a number.

    Returns
    -------
    Arrays ``(n_frames, n_rows)`` that are equal where the columns are
    """
    shape, strides = (len(text), text.shape[1] // width), (text.shape[1], width)
    found = []
    for first in range(columns.start, columns.stop, WORD):
        start, end = min(first, width - WORD), min(first + WORD, columns.stop)
        mask = bytes(0xFF * (first <= column < end) for column in range(start, start + WORD))
        words = np.ndarray(shape, "<u8", text, start, strides)
        found.append(words & np.uint64(int.from_bytes(mask, "little")))
    return found


def _parse_field(
    text: NDArray[np.uint8], field: Field, low: NDArray, high: NDArray
) -> NDArray[np.float64] | None:
    """``(n_rows,)``, one number of each row; None where it hasn't the shape of the field.

    ``low`` and ``high`` are the least and the greatest byte of each column.
    """
    if not _ends(field, low, high):
        return None
    first = _first_column(field, low, high)
    negative = _signs(text, low, high, first, field.point - 1)
    if negative is None or field.fraction_end - first > MOST_DIGITS + 2:
        return None
    mantissa = _mantissa(text, field, first, low)
    if field.end == field.fraction_end:
        value = mantissa / 10.0**field.n_fraction
    else:
        exponent = _exponent(text, field, low, high)
        if exponent is None:
            return None
        value = _scaled(mantissa, exponent - field.n_fraction)
    bits = value.view(np.uint64)
    bits |= negative.astype(np.uint64) << np.uint64(63)  # also of -0.0
    return value


def _of_columns(ufunc: np.ufunc, text: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Least or greatest byte of each column; 64 rows side by side make long inner loops."""
    many = len(text) // 64 * 64
    found = text[0]
    if many < len(text):
        found = ufunc.reduce(text[many:], axis=0)
    if many:
        wide = ufunc.reduce(text[:many].reshape(-1, 64 * text.shape[1]), axis=0)
        found = ufunc(found, ufunc.reduce(wide.reshape(64, -1), axis=0))
    return found


@lru_cache(maxsize=64)
def _bounds(layout: Layout) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Least and greatest byte that each column may hold: digits, points, signs of exponents."""
    low, high = np.zeros(layout.width, np.uint8), np.full(layout.width, 255, np.uint8)
    for field in layout.fields:
        point, fraction_end, end = field.point, field.fraction_end, field.end
        digits = [point - 1, *range(point + 1, fraction_end), *range(fraction_end + 2, end)]
        low[digits], high[digits] = _ZERO, _NINE
        low[point] = high[point] = _POINT
    return low, high


def _ends(field: Field, low: NDArray, high: NDArray) -> bool:
    """Whether all rows have one letter e or E where there is an exponent, and the same end."""
    end, letter = field.end, field.fraction_end
    if end > letter and not low[letter] == high[letter] in b"eE":
        return False
    return bool(low[end] == high[end] in b" \r\n")


def _first_column(field: Field, low: NDArray, high: NDArray) -> int:
    """Where the widest of the numbers begins: after the last column that is blank in all rows."""
    blank = (low[: field.point] == _BLANK) & (high[: field.point] == _BLANK)
    return int(np.flatnonzero(blank).max(initial=-1)) + 1


def _signs(
    text: NDArray[np.uint8], low: NDArray, high: NDArray, first: int, end: int
) -> NDArray[np.bool_] | None:
    """``(n_rows,)``, where a minus is; None unless rows are blanks, a minus or none, digits."""
    negative = np.zeros(len(text), dtype=bool)
    before_blank = ~negative
    for column in range(first, end):
        if high[column] > _NINE:
            return None
        if low[column] >= _ZERO:
            before_blank = np.zeros_like(negative)
            continue
        one = np.ascontiguousarray(text[:, column])
        blank, minus = one == _BLANK, one == _MINUS
        none = blank | minus
        if (none > before_blank).any() or not (none | (one >= _ZERO)).all():
            return None  # after a minus or a digit comes a digit
        negative |= minus
        before_blank = blank
    return negative


def _mantissa(
    text: NDArray[np.uint8], field: Field, first: int, low: NDArray
) -> NDArray[np.float64]:
    """``(n_rows,)``, the digits from ``first`` to the fraction's end as an integer, exact."""
    end = field.fraction_end
    value = joined(digits(text, end, first, field.point, low)).astype(np.float64)
    if end - WORD > first:
        n_digits = WORD - (field.point >= end - WORD)
        before = joined(digits(text, end - WORD, first, field.point, low))
        value += before.astype(np.float64) * 10.0**n_digits
    return value


def _exponent(
    text: NDArray[np.uint8], field: Field, low: NDArray, high: NDArray
) -> NDArray[np.int64] | None:
    """``(n_rows,)``; None where its sign is none, or it has more than four digits."""
    at = field.fraction_end + 1
    value = integers(text, range(at + 1, field.end))
    if value is None:
        return None
    if low[at] == high[at]:  # as velocities in atomic units have it: far below 1
        return -value if low[at] == _MINUS else value if low[at] == _PLUS else None
    below_one = text[:, at] == _MINUS
    if not (below_one | (text[:, at] == _PLUS)).all():
        return None
    return np.where(below_one, -value, value)


def _scaled(mantissa: NDArray[np.float64], power: NDArray[np.int64]) -> NDArray[np.float64]:
    """mantissa x 10^power, correctly rounded for |power| <= 22."""
    lowest, highest = int(power.min()), int(power.max())
    if highest <= 0 and lowest >= -22:
        return mantissa / _POWERS.take(-power)
    if highest > 300 or lowest < -300:
        power = np.clip(power, -300, 300)  # no force and no place is there
    up, down = np.maximum(power, 0), np.maximum(-power, 0)
    if highest <= 22 and lowest >= -22:
        return mantissa * _POWERS.take(up) / _POWERS.take(down)
    return mantissa * 10.0**up / 10.0**down

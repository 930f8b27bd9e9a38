"""Lines of numbers in fixed columns, as programs print them, to arrays: many rows at once.

Owns the text of a trajectory's atoms; knows no file and no unit.  A row of i-PI's xyz
(``%8s %12.5e %12.5e %12.5e``) or of ASE's extxyz (``%-2s %16.8f ...``) has its points, exponents
and last digits in the same columns as every other row.  So the same eight columns of all rows are
taken as eight digits in one 64-bit integer, whose neighbours are joined in three steps: digits to
pairs, pairs to fours, fours to eight (Lemire, arXiv:2101.11408, section 2, does it to one number).
Every character is checked; text of another shape is left to `parse_lines`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROWS_AT_ONCE = 8192  # temporary arrays of a part stay in the processor's cache
MOST_DIGITS = 15  # more don't fit a float64
WORD = 8  # digits in an integer
_NUMBER = re.compile(rb"-?(\d+)\.(\d+)(?:([eE])[+-](\d+))?")
_ZERO, _NINE, _BLANK, _MINUS, _PLUS, _POINT = b"09 -+."
_POWERS = 10.0 ** np.arange(23)  # exact
_DIGIT_BITS, _DIGIT_MARKS = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0x0101010101010101)
_JOINS = tuple(
    (np.uint64(factor), np.uint64(shift), np.uint64(mask))
    for factor, shift, mask in (
        (10, 8, 0x00FF00FF00FF00FF),
        (100, 16, 0x0000FFFF0000FFFF),
        (10000, 32, 0x00000000FFFFFFFF),
    )
)
"""Of neighbours the left one (of lower bits) times the factor plus the right one, at the mask."""


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
    for start in range(0, len(text), ROWS_AT_ONCE):
        part = text[start : start + ROWS_AT_ONCE]
        low, high = _of_columns(np.minimum, part), _of_columns(np.maximum, part)
        for index, field in enumerate(layout.fields):
            found = _parse_field(part, field, low, high)
            if found is None:
                return None
            values[start : start + ROWS_AT_ONCE, index] = found
    return values


def parse_lines(lines: Sequence[bytes], columns: Sequence[int]) -> NDArray[np.float64]:
    """Numbers of rows of any shape, ``(n_rows, n_columns)``; ValueError where there is none."""
    text = [line.decode("utf-8", "replace") for line in lines]
    return np.loadtxt(text, usecols=tuple(columns), ndmin=2)


def _parse_field(
    text: NDArray[np.uint8], field: Field, low: NDArray, high: NDArray
) -> NDArray[np.float64] | None:
    """``(n_rows,)``, one number of each row; None where it hasn't the shape of the field.

    ``low`` and ``high`` are the least and the greatest byte of each column.
    """
    if not _has_digits(field, low, high):
        return None
    first = _first_column(field, low, high)
    negative = _signs(text, low, first, field.point - 1)
    if negative is None or field.fraction_end - first > MOST_DIGITS + 2:
        return None
    mantissa = _mantissa(text, field, first, low)
    if field.end == field.fraction_end:
        value = mantissa / 10.0**field.n_fraction
    else:
        exponent = _exponent(text, field)
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


def _has_digits(field: Field, low: NDArray, high: NDArray) -> bool:
    """Whether all rows have a digit, a point, digits [, a letter, a byte, digits] and an end."""
    point, fraction_end, end = field.point, field.fraction_end, field.end
    digits = [point - 1, *range(point + 1, fraction_end), *range(fraction_end + 2, end)]
    if not ((low[digits] >= _ZERO) & (high[digits] <= _NINE)).all():
        return False
    if end > fraction_end and not low[fraction_end] == high[fraction_end] in b"eE":
        return False
    return bool(low[point] == high[point] == _POINT and low[end] == high[end] in b" \r\n")


def _first_column(field: Field, low: NDArray, high: NDArray) -> int:
    """Where the widest of the numbers begins: after the last column that is blank in all rows."""
    blank = (low[: field.point] == _BLANK) & (high[: field.point] == _BLANK)
    return int(np.flatnonzero(blank).max(initial=-1)) + 1


def _signs(text: NDArray[np.uint8], low: NDArray, first: int, end: int) -> NDArray[np.bool_] | None:
    """``(n_rows,)``, where a minus is; None unless rows are blanks, a minus or none, digits."""
    negative = np.zeros(len(text), dtype=bool)
    before_blank = ~negative
    for column in range(first, end):
        one = np.ascontiguousarray(text[:, column])
        digit = (one >= _ZERO) & (one <= _NINE)
        if low[column] < _ZERO:
            blank, minus = one == _BLANK, one == _MINUS
            if ((blank | minus) & ~before_blank).any():  # after a minus or a digit comes a digit
                return None
            negative |= minus
            digit |= blank | minus
            before_blank = blank
        else:
            before_blank = np.zeros_like(negative)
        if not digit.all():
            return None
    return negative


def _mantissa(
    text: NDArray[np.uint8], field: Field, first: int, low: NDArray
) -> NDArray[np.float64]:
    """``(n_rows,)``, the digits from ``first`` to the fraction's end as an integer, exact."""
    end = field.fraction_end
    value = _joined(_digits(text, end, first, field.point, low)).astype(np.float64)
    if end - WORD > first:
        n_digits = WORD - (field.point >= end - WORD)
        before = _joined(_digits(text, end - WORD, first, field.point, low))
        value += before.astype(np.float64) * 10.0**n_digits
    return value


def _digits(
    text: NDArray[np.uint8], end: int, first: int, point: int, low: NDArray
) -> NDArray[np.uint64]:
    """Eight columns of each row, the last before ``end`` in the highest byte, each 0 ... 9.

    Columns before ``first`` and all that isn't a digit are 0, and the digits before the point,
    if it's among them, are moved over it.
    """
    start = max(end - WORD, 0)
    words = np.ndarray(len(text), "<u8", text, start, (text.shape[1],)).astype(np.uint64)
    if start + WORD > end:  # the row begins within the word
        words <<= np.uint64(8 * (start + WORD - end))
    columns = range(end - WORD, end)
    if any(first <= column < point and low[column] < _ZERO for column in columns):
        marks = (words >> np.uint64(4)) & _DIGIT_MARKS  # 1 in 0x30 ... 0x39, 0 in blank and minus
        words &= marks * np.uint64(0x0F)
    kept = [column >= first and column != point for column in columns]
    if point not in columns:
        words &= _mask(kept)
        return words
    at = columns.index(point)
    whole = words & _mask(kept[:at])
    whole <<= np.uint64(8)
    words &= _mask([False] * at + kept[at:])
    words |= whole
    return words


def _mask(kept: Sequence[bool]) -> np.uint64:
    """The value of the digits in these bytes, the first the lowest."""
    return np.uint64(int.from_bytes(bytes(0x0F * keep for keep in kept), "little"))


def _joined(digits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The integers that eight digits make, the first in the lowest byte."""
    for factor, shift, mask in _JOINS:
        right = digits >> shift
        digits *= factor
        digits += right
        digits &= mask
    return digits


def _exponent(text: NDArray[np.uint8], field: Field) -> NDArray[np.int64] | None:
    """``(n_rows,)``; None where its sign is none, or it has more than four digits."""
    sign = text[:, field.fraction_end + 1]
    below_one = sign == _MINUS
    columns = range(field.fraction_end + 2, field.end)
    if len(columns) > 4 or not (below_one | (sign == _PLUS)).all():
        return None
    value = np.zeros(len(text), dtype=np.int16)
    for column in columns:
        value *= np.int16(10)
        value += text[:, column].astype(np.int16)
        value -= np.int16(_ZERO)
    return np.where(below_one, -value, value).astype(np.int64)


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

"""Lines of numbers in fixed columns, as programs print them, to arrays: many rows at once.

Owns the text of a trajectory's atoms; knows no file and no unit.  A row of i-PI's xyz
(``%8s %12.5e %12.5e %12.5e``) or of ASE's extxyz (``%-2s %16.8f ...``) has its points, exponents
and last digits in the same columns as every other row, so that a digit's weight is known from its
column and a number is a product of digits and weights: one matrix product for a block of rows.
Every character is checked; text of another shape is left to `parse_lines`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

ROWS_AT_ONCE = 4096  # temporary arrays of a part stay in the processor's cache
MOST_DIGITS = 15  # more don't fit a float64
_NUMBER = re.compile(rb"-?(\d+)\.(\d+)(?:([eE])[+-](\d+))?")
_ZERO, _NINE, _BLANK, _MINUS, _PLUS, _POINT = b"09 -+."
_EXACT_IN_FLOAT32 = (1 << 24) / _NINE
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
    return Layout(len(line), tuple(fields))


def parse_rows(text: NDArray[np.uint8], layout: Layout) -> NDArray[np.float64] | None:
    """Numbers of rows that all have this layout; None if a row hasn't.

    As good as Python's ``float``: an integer of up to 15 digits times or over a power of ten.

    Parameters
    ----------
    text : ``(n_rows, width)``, bytes

    Returns
    -------
    ``(n_rows, n_fields)``
    """
    values = np.empty((len(text), len(layout.fields)))
    # one buffer for all parts: fresh memory costs more than the conversion that fills it
    buffer = np.empty(min(len(text), ROWS_AT_ONCE) * layout.width)
    for start in range(0, len(text), ROWS_AT_ONCE):
        part = text[start : start + ROWS_AT_ONCE]
        found = _parse_part(part, layout, buffer)
        if found is None:
            return None
        values[start : start + ROWS_AT_ONCE] = found
    return values


def parse_lines(lines: Sequence[bytes], columns: Sequence[int]) -> NDArray[np.float64]:
    """Numbers of rows of any shape, ``(n_rows, n_columns)``; ValueError where there is none."""
    text = [line.decode("utf-8", "replace") for line in lines]
    return np.loadtxt(text, usecols=tuple(columns), ndmin=2)


def _parse_part(
    text: NDArray[np.uint8], layout: Layout, buffer: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    low, high = _of_columns(np.minimum, text), _of_columns(np.maximum, text)
    firsts = [_first_column(field, low, high) for field in layout.fields]
    if not all(map(partial(_is_number, text, low, high), layout.fields, firsts)):
        return None
    weights = _weights(layout, firsts, high)
    # points, the letter e and columns of signs have no weight
    numbers = buffer.view(weights.dtype)[: text.size].reshape(text.shape)
    np.copyto(numbers, text)
    sums = (numbers @ weights).T.astype(np.float64, order="C")
    sums -= float(_ZERO) * weights.sum(axis=0, dtype=np.float64)[:, None]  # (number, row)
    values = np.empty((len(text), len(layout.fields)))
    for index, (field, first) in enumerate(zip(layout.fields, firsts, strict=True)):
        mantissa = sums[index]
        negative = np.zeros(len(text), dtype=bool)
        for column in range(first, field.point):
            if low[column] < _ZERO:
                one = text[:, column].copy()
                negative |= one == _MINUS
                if weights[column, index]:  # blanks and signs among digits were taken for such
                    none = np.maximum(one, _ZERO) - one
                    mantissa += none * float(weights[column, index])
        power: NDArray[np.int64] = np.array([-field.n_fraction])
        if field.end > field.fraction_end:
            exponent = sums[len(layout.fields) + index].astype(np.int64)
            below_one = text[:, field.fraction_end + 1] == _MINUS
            power = np.where(below_one, -exponent, exponent) - field.n_fraction
        value = _scaled(mantissa, power)
        values[:, index] = np.where(negative, -value, value)
    return values


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


def _first_column(field: Field, low: NDArray, high: NDArray) -> int:
    """Where the widest of the numbers begins: after the last column that is blank in all rows."""
    blank = (low[: field.point] == _BLANK) & (high[: field.point] == _BLANK)
    return int(np.flatnonzero(blank).max(initial=-1)) + 1


def _is_number(
    text: NDArray[np.uint8], low: NDArray, high: NDArray, field: Field, first: int
) -> bool:
    """Whether all rows have blanks, a minus or none, digits, a point, digits [, an exponent]."""
    point, fraction_end, end = field.point, field.fraction_end, field.end
    digits = [point - 1, *range(point + 1, fraction_end), *range(fraction_end + 2, end)]
    if not (low[digits] >= _ZERO).all() or not (high[digits] <= _NINE).all():
        return False
    if not (low[point] == high[point] == _POINT and low[end] == high[end] and low[end] in b" \r\n"):
        return False
    if end > fraction_end:
        letter, sign = text[:, fraction_end], text[:, fraction_end + 1]
        if low[fraction_end] != high[fraction_end] or letter[0] not in b"eE":
            return False
        if not ((sign == _PLUS) | (sign == _MINUS)).all():
            return False
    return fraction_end - first <= MOST_DIGITS + 2 and _leads(text, low, first, point - 1)


def _leads(text: NDArray[np.uint8], low: NDArray, first: int, end: int) -> bool:
    """Whether rows are blanks, then a minus or none, then digits, in these columns."""
    before_blank = np.ones(len(text), dtype=bool)
    for column in range(first, end):
        one = np.ascontiguousarray(text[:, column])
        if low[column] < _ZERO:
            blank = one == _BLANK
            other = blank | (one == _MINUS)
            if (other & ~before_blank).any():  # after a minus or a digit comes a digit
                return False
            one, before_blank = one[~other], blank
        else:
            before_blank = np.zeros_like(before_blank)
        if len(one) and (one.min() < _ZERO or one.max() > _NINE):
            return False
    return True


def _weights(layout: Layout, firsts: Sequence[int], high: NDArray) -> NDArray:
    """``(width, 2 n_fields)``: of each column for the mantissas, then for the exponents.

    Single precision where it holds the largest sum of bytes times weights exactly.
    """
    n_fields = len(layout.fields)
    weights = np.zeros((layout.width, 2 * n_fields))
    for index, (field, first) in enumerate(zip(layout.fields, firsts, strict=True)):
        whole, fraction = range(first, field.point), range(field.point + 1, field.fraction_end)
        for place, column in enumerate(reversed([*whole, *fraction])):
            weights[column, index] = 10.0**place if high[column] >= _ZERO else 0.0
        for place, column in enumerate(reversed(range(field.fraction_end + 2, field.end))):
            weights[column, n_fields + index] = 10.0**place
    if not any(field.end > field.fraction_end for field in layout.fields):
        weights = weights[:, :n_fields]
    return weights.astype(np.float32) if weights.sum(axis=0).max() < _EXACT_IN_FLOAT32 else weights


def _scaled(mantissa: NDArray[np.float64], power: NDArray[np.int64]) -> NDArray[np.float64]:
    """mantissa x 10^power, correctly rounded for |power| <= 22."""
    lowest, highest = int(power.min()), int(power.max())
    if highest <= 0 and lowest >= -22:
        return mantissa / _POWERS[-power]
    if highest > 300 or lowest < -300:
        power = np.clip(power, -300, 300)  # no force and no place is there
    return mantissa * 10.0 ** np.maximum(power, 0) / 10.0 ** np.maximum(-power, 0)

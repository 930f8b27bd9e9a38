"""Digits in the same columns of many rows of text to integers, eight at once.

Eight columns of a row are one 64-bit word, whose neighbours are joined in three steps: digits to
pairs, pairs to fours, fours to eight (Lemire, arXiv:2101.11408, does it to one number at a time).
Checks nothing.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

WORD = 8  # digits in an integer
_ZERO = ord("0")
_DIGIT_MARKS = np.uint64(0x0101010101010101)
_JOINS = tuple(
    (np.uint64(mask), np.uint64(factor), np.uint64(shift))
    for mask, factor, shift in (
        (0x0F0F0F0F0F0F0F0F, 10 * 2**8 + 1, 8),
        (0x00FF00FF00FF00FF, 100 * 2**16 + 1, 16),
        (0x0000FFFF0000FFFF, 10000 * 2**32 + 1, 32),
    )
)
"""At the mask, the left one of two neighbours (of lower bits) times 10, 100 ... plus the right."""
_TWO_DIGITS = np.zeros(1 << 16, dtype=np.int64)
"""The number that two letters make, by their 16 bits."""
for _number in range(100):
    _TWO_DIGITS[int.from_bytes(b"%02d" % _number, "little")] = _number


def digits(
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
    here = low[max(first, end - WORD) : min(point, end)]
    if len(here) and here.min() < _ZERO:
        marks = (words >> np.uint64(4)) & _DIGIT_MARKS  # 1 in 0x30 ... 0x39, 0 in blank and minus
        words &= marks * np.uint64(0x0F)
    before, after = _masks(end, first, point)
    if before:
        whole = words & before
        whole <<= np.uint64(8)
        words &= after
        words |= whole
    else:
        words &= after
    return words


@lru_cache(maxsize=64)
def _masks(end: int, first: int, point: int) -> tuple[np.uint64, np.uint64]:
    """Of the eight columns before ``end`` the digits that are moved over the point, and the others.

    None is moved where the point isn't among these columns.
    """
    columns = range(end - WORD, end)
    moved = [column >= first and point in columns and column < point for column in columns]
    others = [
        column >= first and column != point and not move
        for column, move in zip(columns, moved, strict=True)
    ]
    before, after = (
        np.uint64(int.from_bytes(bytes(0x0F * kept for kept in chosen), "little"))
        for chosen in (moved, others)
    )
    return before, after


def joined(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The integers that eight digits make, the first in the lowest byte; in their place."""
    for mask, factor, shift in _JOINS:
        words &= mask
        words *= factor
        words >>= shift
    return words


def integers(text: NDArray[np.uint8], columns: range) -> NDArray[np.int64] | None:
    """``(n_rows,)``, of two digits by a table, of up to four one after the other."""
    if len(columns) == 2:
        pairs = np.ndarray(len(text), "<u2", text, columns[0], (text.shape[1],))
        return _TWO_DIGITS.take(pairs)
    if len(columns) > 4:
        return None
    value = np.zeros(len(text), dtype=np.int64)
    for column in columns:
        value *= 10
        value += text[:, column] - _ZERO
    return value

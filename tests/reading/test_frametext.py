"""Numbers in fixed columns: bit by bit what Python's float gives, and no wrong row accepted."""

import numpy as np
import pytest

from ncforce_ipi.reading.frametext import layout_of, parse_rows

IPI = "%8s %12.5e %12.5e %12.5e\n"
ASE = "%-2s %16.8f %16.8f %16.8f\n"
NUMBERS = np.random.default_rng(0).normal(size=(5000, 3)) * 10.0 ** np.array([-7, 0, 3])


def rows(form: str, numbers) -> list[bytes]:
    return [(form % ("Al" if k % 3 else "H", *row)).encode() for k, row in enumerate(numbers)]


def parse(lines, columns=(1, 2, 3)):
    text = np.frombuffer(b"".join(lines), dtype=np.uint8).reshape(len(lines), -1)
    return parse_rows(text, layout_of(lines[0], columns))


@pytest.mark.parametrize("form", [IPI, ASE, "%s2 %.3f  %.9e %22.12f\r\n"[1:], ASE[:-1] + " \n"])
def test_bit_by_bit_what_float_gives(form):
    form = form if form.startswith("%") else "%-3s" + form[2:]
    numbers = np.abs(NUMBERS) % 9.0 + 1.0 if "%.3f" in form else NUMBERS
    lines = rows(form, numbers)
    expected = [[float(word) for word in line.split()[1:]] for line in lines]
    np.testing.assert_array_equal(parse(lines), expected)


@pytest.mark.parametrize("n_fraction", range(1, 13))
@pytest.mark.parametrize("kind", "fe")
def test_every_place_of_the_point_among_the_words(n_fraction, kind):
    """Digits come in words of eight: the point is in one, in the other, or between them."""
    n_whole = 14 - n_fraction if kind == "f" else 1
    rng = np.random.default_rng(n_fraction)
    least = max(-n_fraction, n_fraction - 22)  # beyond 10^22 powers of ten aren't exact
    scale = 10.0 ** np.linspace(least, n_whole - 1.5, 3000)
    numbers = rng.choice([-1.0, 1.0], (3000, 3)) * rng.uniform(1.0, 3.0, (3000, 3)) * scale[:, None]
    width = 2 + n_whole + n_fraction + (4 if kind == "e" else 0)
    lines = rows(f"%2s {f'%{width}.{n_fraction}{kind} ' * 3}\n", numbers)
    expected = [[float(word) for word in line.split()[1:]] for line in lines]
    found = parse(lines)
    np.testing.assert_array_equal(found, expected)
    assert np.signbit(found).any()
    assert np.array_equal(np.signbit(found), np.signbit(expected))  # of -0.0 as well


def test_rows_that_begin_within_a_word():
    lines = [b"%.1f %.2f\n" % (x, y) for x, y in np.abs(NUMBERS[:, 1:] % 10.0)]
    lines = [line for line in lines if len(line) == 9]
    expected = [[float(word) for word in line.split()] for line in lines]
    np.testing.assert_array_equal(parse(lines, (0, 1)), expected)
    assert layout_of(b"1.0 2.0"[:3] + b"\n", (0,)) is None  # shorter than a word


def test_columns_are_chosen():
    lines = [b"H 1 %8.3f %8.3f %8.3f 7.5 T\n" % tuple(row) for row in NUMBERS[:100] % 1000]
    expected = [[float(line.split()[k]) for k in (3, 5)] for line in lines]
    np.testing.assert_array_equal(parse(lines, (3, 5)), expected)


@pytest.mark.parametrize(
    "row",
    [
        b"Al          nan  0.00000000       0.00000000\n",
        b"Al     1.5000.000  0.0000000       0.00000000\n",
        b"Al     1 .00000000       0.00000000       0.00000000\n",
        b"Al     1-.00000000       0.00000000       0.00000000\n",
        b"Al    1 2.00000000       0.00000000       0.00000000\n",
        b"Al    -+2.00000000       0.00000000       0.00000000\n",
        b"Al     2.000000000       0.00000000       0.00000000\n",
        b"Al 1234567890123.00000000 0.00000000     0.00000000\n",
        b"Al       /.00000000       0.00000000       0.00000000\n",
        b"Al      1:.00000000       0.00000000       0.00000000\n",
        b"Al      1.0000000/        0.00000000       0.00000000\n",
        b"Al      1.00000000       0.00000000       0.00000000x\n",
    ],
)
def test_a_row_of_another_shape_is_never_read_wrong(row):
    lines = rows(ASE, NUMBERS[:70])
    lines[37] = row.rstrip(b"\n").ljust(len(lines[0]) - 1)[: len(lines[0]) - 1] + b"\n"
    assert parse(lines) is None


@pytest.mark.parametrize("text", [b"1.5e+0:", b"1.5e*00", b"1.5f+00", b"1:5e+00", b"1.5E+00"])
def test_a_wrong_exponent_is_never_read(text):
    lines = [b"H %8.1e\n" % x for x in NUMBERS[:99, 1]]
    lines[70] = b"H " + text.rjust(8) + b"\n"
    assert parse(lines, (1,)) is None


def test_numbers_without_a_point_have_no_layout():
    assert layout_of(b"H 1 2 3\n", (1, 2, 3)) is None
    assert layout_of(b"H 1.0 2.0\n", (1, 2, 3)) is None


def test_more_digits_than_a_float_holds_are_left_to_the_slow_way():
    lines = [b"H %24.17e %24.17e %24.17e\n" % tuple(row) for row in NUMBERS[:10]]
    assert parse(lines) is None


def test_powers_of_ten_beyond_a_float_do_not_warn():
    lines = [b"H %12.5e %12.5e %12.5e\n" % row for row in [(1.5, 2.5e-99, -3.5e99)] * 3]
    np.testing.assert_allclose(parse(lines), [[1.5, 2.5e-99, -3.5e99]] * 3, rtol=1e-15)

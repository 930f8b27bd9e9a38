"""``ncforce gle``: the files it writes, and an analytic case."""

import csv
import hashlib

import numpy as np
import pytest

from ncforce_ipi.cli import main


@pytest.fixture
def written(tmp_path):
    """Folder with the files made from one matrix of one's own: white noise, friction 1/50 fs."""
    matrix = tmp_path / "white.txt"
    matrix.write_text("0.02\n")
    words = ["gle", str(matrix), "--langevin-tau-fs", "50", "--out", str(tmp_path / "gle")]
    assert main(words) == 0
    return tmp_path


def test_a_matrix_of_one_number_is_white_noise(written):
    lines = (written / "gle/gle.csv").read_text().splitlines()
    table = list(csv.DictReader(line for line in lines if line[0] != "#"))
    own = [float(row[f"kappa_V {written / 'white.txt'}"]) for row in table]
    white = [float(row["kappa_V Langevin 50 fs"]) for row in table]
    assert len(own) == 200
    np.testing.assert_allclose(own, white, rtol=1e-9)
    assert max(own) == pytest.approx(1.0, rel=1e-2)  # some frequency fits this friction best


def test_the_file_says_where_it_comes_from(written):
    lines = (written / "gle/gle.csv").read_text().splitlines()
    digest = hashlib.sha256((written / "white.txt").read_bytes()).hexdigest()
    assert any(line.startswith("# command: ") for line in lines)
    assert f"# input_sha256: white.txt {digest}" in lines


def test_nothing_is_replaced_without_force(written, capsys):
    words = ["gle", str(written / "white.txt"), "--out", str(written / "gle")]
    assert main(words) != 0
    assert "gle.csv" in capsys.readouterr().err
    assert main([*words, "--force"]) == 0

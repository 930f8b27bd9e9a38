"""Words with quotes, and models with one in their names."""

import pytest

from ncforce_ipi.errors import InputError
from ncforce_ipi.models.words import words_of_model, words_of_text


def test_words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert words_of_text("--x 'a b'", "options") == ["--x", "a b"]
    with pytest.raises(InputError, match="options: a quote isn't closed in --x 'a b"):
        words_of_text("--x 'a b", "options")
    assert words_of_model("orb:orb-v2 --dtype float64") == ["orb:orb-v2", "--dtype", "float64"]
    with pytest.raises(InputError, match=r"model: a quote isn't closed in it's\.pt"):
        words_of_model("it's.pt")
    (tmp_path / "it's.pt").write_text("")
    assert words_of_model("it's.pt") == ["it's.pt"]
    with pytest.raises(InputError, match="a quote isn't closed"):
        words_of_model("'" + "x" * 300)

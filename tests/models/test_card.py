"""``card.json`` beside a model: the band of slow - fast."""

import json

import pytest

from ncforce_ipi.errors import InputError
from ncforce_ipi.models.card import Band, read_band

BAND = {"expected": 0.1, "upper": 0.15}


@pytest.fixture
def card(tmp_path):
    """``card(...)`` writes it and returns the model's file."""

    def write(content):
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / "card.json").write_text(text)
        return tmp_path / "student.pt"

    return write


def test_no_card_and_a_card_of_something_else_say_nothing(tmp_path, card):
    assert read_band(tmp_path / "student.pt", "a", None) is None
    assert read_band(card({"author": "me"}), "a", None) is None


@pytest.mark.parametrize("more", [{}, {"model_sha256": "a"}, {"slow_model_sha256": "b"}])
def test_the_band(card, more):
    assert read_band(card({"slow_minus_fast_rms_eV_per_A": BAND} | more), "a", "b") == Band(
        0.1, 0.15
    )


@pytest.mark.parametrize("key", ["model_sha256", "slow_model_sha256"])
def test_the_card_of_other_models_is_not_used_and_that_is_said(card, caplog, key):
    model = card({"slow_minus_fast_rms_eV_per_A": BAND, key: "c"})
    assert read_band(model, "a", "b") is None
    assert "reported without a limit" in caplog.text


def test_a_teacher_that_is_no_file_has_no_hash_to_compare(card):
    model = card({"slow_minus_fast_rms_eV_per_A": BAND, "slow_model_sha256": "c"})
    assert read_band(model, "a", None) == Band(0.1, 0.15)


@pytest.mark.parametrize(
    "value", [0.1, [0.1], {}, {"expected": 0.1}, {"expected": 0.2, "upper": 0.1},
              {"expected": "x", "upper": 1}, {"expected": 0.1, "upper": 1e999}, None],
)  # fmt: skip
def test_a_band_that_is_none(card, value):
    with pytest.raises(InputError, match=r"expected \{\"expected\": X, \"upper\": Y\}"):
        read_band(card({"slow_minus_fast_rms_eV_per_A": value}), "a", None)


@pytest.mark.parametrize("text", ["{", "[]", "\x00"])
def test_a_card_that_is_no_card(card, text):
    with pytest.raises(InputError, match="is no card of a model"):
        read_band(card(text), "a", None)

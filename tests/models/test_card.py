"""``card.json`` beside a model: the band of slow - fast."""

import json

import pytest

from ncforce_ipi.errors import InputError
from ncforce_ipi.models.card import Band, read_band

FAST, SLOW = {"name": "s.pt", "sha256": "a"}, {"name": "big.pt", "sha256": "b"}
NAMED = {"name": "7net-0", "sha256": None}
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
    assert read_band(tmp_path / "student.pt", FAST, SLOW) is None
    assert read_band(card({"author": "me"}), FAST, SLOW) is None


@pytest.mark.parametrize(
    ("more", "slow"),
    [
        ({}, SLOW),
        ({"student": {"file": "student.pt", "sha256": "a"}}, SLOW),
        ({"student": None, "teacher": {"name": "elsewhere.pt", "sha256": "b"}}, SLOW),
        ({"teacher": {"name": "sevennet:7net-0", "sha256": None}}, NAMED),
        ({"teacher": {"name": "sevennet:7net-0", "sha256": None}}, SLOW),  # can't be told
    ],
)
def test_the_band(card, more, slow):
    model = card({"slow_minus_fast_rms_eV_per_A": BAND} | more)
    assert read_band(model, FAST, slow) == Band(0.1, 0.15)


@pytest.mark.parametrize(
    ("more", "slow"),
    [
        ({"student": {"sha256": "c"}}, SLOW),
        ({"teacher": {"name": "big.pt", "sha256": "c"}}, SLOW),
        ({"teacher": {"name": "mace:medium", "sha256": None}}, NAMED),
    ],
)
def test_the_card_of_other_models_is_not_used_and_that_is_said(card, caplog, more, slow):
    assert read_band(card({"slow_minus_fast_rms_eV_per_A": BAND} | more), FAST, slow) is None
    assert "reported without a limit" in caplog.text


@pytest.mark.parametrize(
    "value", [0.1, [0.1], {}, {"expected": 0.1}, {"expected": 0.2, "upper": 0.1},
              {"expected": "x", "upper": 1}, {"expected": 0.1, "upper": 1e999}, None],
)  # fmt: skip
def test_a_band_that_is_none(card, value):
    with pytest.raises(InputError, match=r"expected \{\"expected\": X, \"upper\": Y\}"):
        read_band(card({"slow_minus_fast_rms_eV_per_A": value}), FAST, SLOW)


@pytest.mark.parametrize("text", ["{", "[]", "\x00"])
def test_a_card_that_is_no_card(card, text):
    with pytest.raises(InputError, match="is no card of a model"):
        read_band(card(text), FAST, SLOW)

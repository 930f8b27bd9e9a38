"""SevenNet-0 with the weights of its wheel."""

from pathlib import Path

from tests.drivers import Case


def words(directory: Path, dtype: str) -> list[str]:
    """The model by name."""
    return ["--model", "7net-0", "--dtype", dtype]


CASES = (Case("sevennet", "7net-0", "sevenn", words, frozenset(["conservative"])),)

"""Words of a text in quotes, and those with which a model is named."""

from __future__ import annotations

import shlex
from pathlib import Path

from ncforce_ipi.errors import InputError


def words_of_text(text: str, name: str) -> list[str]:
    """The words of a text as a shell reads them.

    Parameters
    ----------
    name : what the text is, for messages

    Raises
    ------
    InputError
        A quote isn't closed.
    """
    try:
        return shlex.split(text)
    except ValueError as err:
        raise InputError(f"{name}: a quote isn't closed in {text[:200]}") from err


def words_of_model(spec: str) -> list[str]:
    """The words of a model; one where it is a file, whatever is in its name.

    Raises
    ------
    InputError
        A quote isn't closed.
    """
    try:
        return shlex.split(spec)
    except ValueError:
        if _is_file(spec):
            return [spec]
        return words_of_text(spec, "model")


def _is_file(name: str) -> bool:
    try:
        return Path(name).expanduser().is_file()
    except (OSError, RuntimeError):  # longer than a name of a file may be; ~ of nobody
        return False

"""What options of a driver name: files and published models.  Knows no model library."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from ncforce_ipi.errors import InputError, ModelError

from .loading import one_line


def find_file(
    model: str, names: Iterable[str], whose: str, download: Callable[[str], str | Path]
) -> Path:
    """The file of this path, or of the published model of this name, downloaded if need be.

    Parameters
    ----------
    model : what ``--model`` says
    names : of the models that ``download`` knows
    whose : they are, for the message, e.g. MACE's
    download : from a name to the path of its file

    Raises
    ------
    InputError
        No such file or name.
    ModelError
        There is no way to the file from here.
    """
    if Path(model).is_file():
        return Path(model)
    known = list(names)
    if model not in known:
        raise InputError(
            f"model {model!r} is neither a file nor one of {whose} names: {', '.join(known)}"
        )
    try:
        return Path(download(model))
    except Exception as err:  # whatever the network raises
        raise ModelError(f"{model!r} can't be downloaded: {one_line(err)}") from err


def require_trust(path: Path, trusted: bool) -> None:
    """Refuse a file that can run code when it is loaded, unless the user has said to trust it."""
    if not trusted:
        raise InputError(
            f"{path} is a pickle, which can run any code when it is loaded; "
            "add --trust if you know where it comes from"
        )

"""The models that ship with the package: names to files.  Knows no model library."""

from __future__ import annotations

from pathlib import Path

from ncforce_ipi.errors import InputError

SHIPPED = {
    "water": "water.pt",
    "carbon": "carbon.pt",
    "aluminium": "aluminium.pt",
    "cu3al-o": "cu3al-o.pt",
}


def model_path(name_or_path: str) -> Path:
    """Absolute path of a shipped model (by its name) or of a model file.

    Raises
    ------
    InputError
        Neither the name of a shipped model nor a file.
    """
    if name_or_path in SHIPPED:
        return Path(__file__).parent / SHIPPED[name_or_path]
    path = Path(name_or_path).expanduser()
    if not path.is_file():
        names = ", ".join(sorted(SHIPPED))
        raise InputError(
            f"model {name_or_path!r} is neither a file nor a shipped model ({names}); "
            "give the path of an exported model, or FAMILY:MODEL (ncforce driver --list)"
        )
    return path.resolve()

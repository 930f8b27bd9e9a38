"""Where results come from: version, command, software, SHA-256 of files.  Said once.

Knows no physics and no format: `Provenance.lines` go on top of CSV files and into figures,
`Provenance.facts` into JSON.
"""

from __future__ import annotations

import hashlib
import platform
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from ncforce_ipi import __version__

SOFTWARE = ("ipi", "numpy", "ase", "torch", "metatomic-torch", "metatensor-torch", "vesin")
PROGRAM = "ncforce"


@dataclass(frozen=True)
class Provenance:
    """Where results come from.

    Attributes
    ----------
    version : of this package
    command : that made them, as a shell would take it
    input_sha256 : name and SHA-256 of each input file, with commas
    model_sha256 : of the models, with commas; empty where nothing says it
    models : what each model is, where they were evaluated here: name, description, SHA-256
    """

    version: str
    command: str
    input_sha256: str
    model_sha256: str
    models: tuple[Mapping[str, str | None], ...] = ()

    @classmethod
    def of(
        cls,
        inputs: Iterable[Path],
        model_sha256: str = "",
        models: Iterable[Mapping[str, str | None]] = (),
    ) -> Provenance:
        """Of results from these files and models by the command that is running."""
        hashes = ", ".join(f"{printable(path.name)} {sha256(path)}" for path in inputs)
        models = tuple(models)
        own = ", ".join(str(model["sha256"]) for model in models if model["sha256"])
        return cls(__version__, command_line(), hashes, model_sha256 or own, models)

    def facts(self) -> dict[str, Any]:
        """Each fact under its name."""
        facts = {name: value for name, value in vars(self).items() if name != "models"}
        return facts | ({"models": list(self.models)} if self.models else {})

    def lines(self) -> list[str]:
        """One ``key: value`` for each fact."""
        return [f"{key}: {value}" for key, value in self.facts().items()]


def command_line() -> str:
    """The words that started this program, as a shell would take them."""
    name = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
    program = PROGRAM if name in (PROGRAM, "__main__.py") else name
    return printable(shlex.join([program, *sys.argv[1:]]))


def printable(text: str) -> str:
    r"""The same text in which bytes of a name that aren't UTF-8 are spelt out: ``\udce9``."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal: the identity of a model in every provenance record."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def software() -> dict[str, str]:
    """Versions of Python and of the installed packages that decide the numbers."""
    versions = {"python": platform.python_version()}
    for name in SOFTWARE:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions

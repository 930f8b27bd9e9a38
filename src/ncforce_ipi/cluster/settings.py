"""What a site wants in every job script: partition, account, modules, environment.

partition = "gpu"
ipi_partition = "cpu"                  # of --several nodes: where i-PI runs
account = "chem042"
qos = "normal"
time = "24:00:00"
sbatch = ["--constraint=a100"]         # more options of sbatch, one a line
setup = ["module load python", "source ~/venv/bin/activate"]   # lines before anything else
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ncforce_ipi.errors import InputError
from ncforce_ipi.launch.processes.timelimit import seconds_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = Path("ncforce") / "slurm.toml"


@dataclass(frozen=True)
class Settings:
    """Of a site, or of one script.

    Attributes
    ----------
    partition, account, qos : as ``sbatch`` takes them; None for the cluster's own default
    ipi_partition : partition of CPU nodes on which i-PI runs, with the drivers elsewhere
    time : wall time of a job, as Slurm writes it
    sbatch : further options of ``sbatch``
    setup : lines of shell that make ``ncforce`` available
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    ipi_partition: str | None = None
    time: str | None = None
    sbatch: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.time is not None:
            seconds_of(self.time)
        for option in self.sbatch:
            if not option.startswith("-") or "\n" in option:
                raise InputError(f"sbatch: expected options such as --mem=32G, got {option!r}")

    def with_options(self, **given: Any) -> Settings:
        """The same with what was given in the place of what stood there; ``sbatch`` is added."""
        new = {name: value for name, value in given.items() if value}
        new["sbatch"] = (*self.sbatch, *new.get("sbatch", ()))
        return replace(self, **new)


def default_file() -> Path:
    """Where a user's settings are."""
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / FILE


def read_settings(path: Path | None = None) -> Settings:
    """Settings of a file; without one the user's own if there is any, else none.

    Raises
    ------
    InputError
        No such file, no TOML, or something in it that isn't a setting.
    """
    file = path or default_file()
    if path is None and not file.is_file():
        return Settings()
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as err:
        raise InputError(f"{file}: {err}; expected settings in TOML") from err
    return _settings(file, values)


def _settings(file: Path, values: dict[str, Any]) -> Settings:
    lists = ("sbatch", "setup")
    known = [field.name for field in fields(Settings)]
    for key, value in values.items():
        if key not in known:
            raise InputError(f"{file}: {key} is no setting; there are {', '.join(known)}")
        kind, said = (list, 'a list: ["...", "..."]') if key in lists else (str, 'text: "..."')
        if not isinstance(value, kind) or not all(isinstance(word, str) for word in value):
            raise InputError(f"{file}: {key}: expected {said}, got {value!r}")
    found: dict[str, Any] = {
        key: tuple(value) if key in lists else value for key, value in values.items()
    }
    return replace(Settings(), **found)

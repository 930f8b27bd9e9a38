"""What is known of a model before it is loaded: from its driver's words, and from its file.

A metatomic file is a zip archive that holds the model's capabilities as text; reading them takes
the standard library.  Other families keep such facts to themselves until their library loads them.
"""

from __future__ import annotations

import json
import pickletools
import shlex
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ncforce_ipi.errors import InputError

CLASS = '"class": "ModelCapabilities"'

MAX_TEXT_BYTES = 1 << 24
# all that reading a damaged archive, its pickle and JSON has been seen to raise
DAMAGED = (
    OSError, EOFError, zipfile.BadZipFile, zlib.error, ValueError, LookupError, TypeError,
    AttributeError, RuntimeError, NotImplementedError, OverflowError, struct.error,
)  # fmt: skip

OTHER_FAMILIES = "a file of MACE, SevenNet or ORB needs its family: mace:FILE"


@dataclass(frozen=True)
class Capabilities:
    """What a metatomic file says of its model.

    Attributes
    ----------
    species : atomic numbers that it knows
    outputs : names of its outputs, ``energy`` or ``energy/variant``
    """

    species: frozenset[int]
    outputs: frozenset[str]

    def has(self, output: str) -> bool:
        """Whether it has this output, in any variant."""
        return any(name == output or name.startswith(f"{output}/") for name in self.outputs)


def capabilities(path: Path) -> Capabilities | None:
    """Read them from a metatomic file; None where the file doesn't show them.

    They are JSON in one string of the archive's pickle, whose strings are listed here without
    running it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.split("/")[1:] == ["data.pkl"]]
            strings = [
                value
                for name in names
                for _, value, _ in pickletools.genops(_beginning(archive, name))
                if isinstance(value, str) and CLASS in value
            ]
        found = json.loads(strings[0])
        return Capabilities(frozenset(found["atomic_types"]), frozenset(found["outputs"]))
    except DAMAGED:
        return None


def _beginning(archive: zipfile.ZipFile, name: str) -> bytes:
    """A file of an archive, which may be packed a thousand times smaller, up to a bound."""
    with archive.open(name) as file:
        return file.read(MAX_TEXT_BYTES)


def named_model(words: Sequence[str]) -> tuple[str, str]:
    """Name or path, and family, of the model in the words of a driver for the slow forces.

    Raises
    ------
    InputError
        These words name none.
    """
    for word, following in zip(words[3:], [*words[4:], ""], strict=False):
        name = following if word == "--model" else word.removeprefix("--model=")
        if name != word and name:
            return name, words[2]
    raise InputError(
        f"--slow-driver: expected 'ncforce driver FAMILY --model ...', got {shlex.join(words)!r}"
    )


def what_instead(path: Path) -> str:
    """What a file is that is no metatomic model, and what to do; empty where it may be one."""
    try:
        with path.open("rb") as file:
            head = file.read(256).lstrip().lower()
        if head.startswith((b"<!doctype html", b"<html")):
            return "it is a web page: download the file itself"
        if head.startswith(b"version https://git-lfs"):
            return "it is a pointer of Git LFS: get the file with git lfs pull"
        with zipfile.ZipFile(path) as archive:
            names = ["/".join(name.split("/")[1:]) for name in archive.namelist()]
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error):
        return f"it is empty, cut, or no archive of TorchScript; {OTHER_FAMILIES}"
    except OSError:  # who reads it says why
        return ""
    if not any(name.startswith("code/") for name in names):
        return (
            "it is a checkpoint or weights, not an exported model: export it with "
            f"`mtt export {path.name} -o model.pt`; {OTHER_FAMILIES}"
        )
    return ""

"""i-PI's XML files in a directory: which are checkpoints, which are inputs, which are neither.

A file is what its words make it, whatever its name.  A checkpoint is a ``<simulation>`` whose
``<system>`` has ``<beads>`` with masses ``<m>`` and ``<names>``; an input is one without.  Values
are read in the unit that their tag states.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.ipiunits import factor, names

log = logging.getLogger(__name__)
DEFAULT_PREFIX = "i-pi"
HEAD_BYTES = 1 << 14  # in which <simulation begins, behind a comment
Element = ElementTree.Element


@dataclass(frozen=True)
class Simulation:
    """An XML file of i-PI's.

    Attributes
    ----------
    path : the file
    root : its ``<simulation>``
    """

    path: Path
    root: Element

    @property
    def prefix(self) -> str | None:
        """What the names of its output files begin with; None if it doesn't speak of output."""
        output = self.root.find("output")
        return None if output is None else output.get("prefix", DEFAULT_PREFIX)

    @property
    def systems(self) -> list[Element]:
        """Each ``<system>``."""
        return list(self.root.iter("system"))

    @property
    def is_checkpoint(self) -> bool:
        """Whether it has the names and masses of atoms."""
        return any(has_atoms(system) for system in self.systems)

    def writes(self, name: str) -> bool | None:
        """Whether a file of this name can be its output; None if it doesn't say."""
        return None if self.prefix is None else begins_with(name, self.prefix)


def begins_with(name: str, prefix: str) -> bool:
    """Whether ``name`` is i-PI's ``prefix.something``, or ``something`` for an empty prefix."""
    return name.startswith(f"{prefix}.") if prefix else "." not in Path(name).stem


def simulations(directory: Path) -> Iterator[Simulation]:
    """i-PI's files in a directory, the newest first; a damaged one is left out with a warning."""
    found = [path for path in directory.iterdir() if _begins_as_xml(path)]
    for path in sorted(found, key=lambda one: (-one.stat().st_mtime_ns, one.name)):
        try:
            root = read_xml(path)
        except InputError as err:
            log.warning("%s: not used", err)
            continue
        if root.tag == "simulation":
            yield Simulation(path, root)


def read_xml(path: Path) -> Element:
    """The ``<simulation>`` of one of i-PI's files.

    Raises
    ------
    InputError
        It can't be read, is cut, or isn't i-PI's.
    """
    try:
        text = path.read_text(encoding="utf-8")
        # i-PI's comment before names its directory, in which a -- breaks the XML
        return ElementTree.fromstring(text[max(0, text.find("<simulation")) :])
    except (ElementTree.ParseError, ValueError, OSError) as err:
        raise InputError(f"{path} is no whole XML file of i-PI's ({err})") from err


def has_atoms(system: Element) -> bool:
    """Whether a ``<system>`` states names and masses, one for each atom."""
    n_names, n_masses = (len(words(system, f"beads/{tag}")) for tag in ("names", "m"))
    return 0 < n_names == n_masses


def words(parent: Element, path: str) -> list[str]:
    """The words of i-PI's ``[a, b, c]`` in a tag; none without the tag."""
    text = parent.findtext(path) or ""
    return re.sub(r"[\[\],]", " ", text).split()


def number(element: Element, dimension: str, default: float | None = None) -> float:
    """The number in a tag, in our unit of its dimension.

    Parameters
    ----------
    element : with ``units=`` or, without, in atomic units
    dimension : as for `ipiunits.factor`
    default : of an empty tag, atomic units

    Raises
    ------
    InputError
        No number, or a unit that isn't i-PI's.
    """
    text = (element.text or "").strip()
    try:
        value = float(text) if text or default is None else default
    except ValueError as err:
        raise InputError(f"<{element.tag}> {text!r}; expected a number") from err
    return value * unit_of(element, dimension)


def unit_of(element: Element, dimension: str) -> float:
    """What the unit that a tag states is in ours; InputError for a word that isn't i-PI's."""
    stated = element.get("units", "")
    size = factor(dimension, stated)
    if size is None:
        raise InputError(
            f"<{element.tag} units={stated!r}>; expected one of i-PI's units of {dimension}: "
            f"{names(dimension)}, with a prefix or none"
        )
    return size


def _begins_as_xml(path: Path) -> bool:
    """Whether a file begins with a tag or comment, and ``<simulation`` follows early."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = os.pread(file.fileno(), HEAD_BYTES, 0)
    except OSError:  # somebody else's
        return False
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and b"<simulation" in head

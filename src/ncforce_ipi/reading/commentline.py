"""The words of a frame's comment line: keys with values (extxyz) and i-PI's title.

Owns the grammar, not the meaning.  Keys and values are split as ASE's ``key_val_str_to_dict``
does, in one pass of a regular expression: ASE's takes 0.2 ms a line, as long as the numbers of 500
atoms, and where the energy stands in the line every frame has its own.  Lines come from anywhere:
no expression here takes more than linear time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PIECE = re.compile(
    r"""(?P<blank>\s+) | (?P<equals>=)
      | "[^"\\]*(?:\\.[^"\\]*)*"? | '[^'\\]*(?:\\.[^'\\]*)*'?
      | \{[^}\\]*(?:\\.[^}\\]*)*\}? | \[[^]\\]*(?:\\.[^]\\]*)*\]?
      | (?:\\.)+ | \\ | [^\s="'{\[\\]+""",
    re.DOTALL | re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)
_CLOSING = {'"': '"', "'": "'", "{": "}", "[": "]"}

# (?<!\w)\w{1,64}: a word of 10 kB is tried once, not from each of its letters
_QUANTITY = re.compile(r"(?<![\w])(\w{1,64})(\([^()\s]{0,64}\))?\{([^{}]{0,64})\}")
_CELL = re.compile(r"CELL[(\[{](abcABC|GENH|H)[)\]}]:?\s*([-+.\deEnaifNAIF \t]*)")
_BEAD = re.compile(r"(?i)(?<!\w)bead:\s*\d")

_STEP = re.compile(
    rb"""(?:(?<!\w)(?:Step|Timestep):\s*                     # i-PI, LAMMPS's xyz
         | (?<![\w-])(?:step|Step|STEP|md_step|Timestep)\s*=\s*["']?   # extxyz, LAMMPS
         | (?:\A|(?<=\n))\s*i\s*=\s*(?=\d+,\s*time\s*=))     # CP2K
         (\d{1,18})(?![\d.eE])""",
    re.VERBOSE,
)
_COUNT = re.compile(  # ORCA, DFTB+, FHI-aims; step=20.0
    rb"""(?<![\w-])(?:(?:md|time|ion)[ _]?|[in])?(?:step|iter|iteration)
         [\s:=\#"']{1,32}(\d{1,18})(?:\.0*)?(?![\w.])""",
    re.VERBOSE | re.IGNORECASE,
)
_CP2K = re.compile(rb"(?:\A|(?<=\n))\s*i\s*=\s*\d+,\s*time\s*=")
_TIME = re.compile(
    rb"""(?<![\w-])(?:[Tt]ime(?:_(fs|ps))?\s*=\s*["']?)([-+\d.eE]{1,40})(?![\w.])""", re.VERBOSE
)


@dataclass(frozen=True)
class Title:
    """What i-PI's own words say.

    Attributes
    ----------
    name : of the output, ``positions``; None where none is named
    unit : of the output; None where none is given
    cell_unit : likewise
    cell : kind (``abcABC``, ``H``, ``GENH``) and numbers; None without
    """

    name: str | None
    unit: str | None
    cell_unit: str | None
    cell: tuple[str, list[str]] | None


def keys_and_values(comment: str) -> dict[str, str]:
    """Split ``key=value``, values in quotes, braces or brackets; ``T`` for a key without one."""
    pairs: list[list[list[str]]] = []  # of keys and values, in pieces
    fresh = True  # whether a new pair begins
    for match in _PIECE.finditer(comment):
        piece = match.group()
        if match["equals"]:
            if pairs:
                pairs[-1].append([])
            fresh = False
        elif match["blank"]:
            fresh = fresh or not pairs or pairs[-1][-1] != []
        elif fresh or not pairs:
            pairs.append([[_plain(piece)]])
            fresh = False
        else:
            pairs[-1][-1].append(_plain(piece))
    words = (["".join(pieces) for pieces in pair] for pair in pairs)
    return {key: "=".join(values) if values else "T" for key, *values in words}


def _plain(piece: str) -> str:
    """Without quotes and escapes."""
    closing = _CLOSING.get(piece[0])
    if closing is not None:
        piece = piece[1:-1] if piece.endswith(closing) and len(piece) > 1 else piece[1:]
    return _ESCAPE.sub(r"\1", piece) if "\\" in piece else piece


def title_of(comment: str, names: frozenset[str]) -> Title | None:
    """i-PI's words in a comment line; None where they aren't i-PI's.

    Parameters
    ----------
    comment : the line
    names : of i-PI's outputs, which may stand there without a unit
    """
    cell = _CELL.search(comment)
    braces = _QUANTITY.finditer(comment) if "{" in comment else ()
    given = {match[1]: match[3].strip() for match in braces}
    cell_unit = given.pop("cell", None)
    given.pop("CELL", None)  # CELL{H}
    numbered = "Step:" in comment and _BEAD.search(comment)
    known = cell_unit is not None or not names.isdisjoint(given)  # velocities{atomic_unit} alone
    if not (cell or (given and known) or numbered):
        return None
    name, unit = next(iter(given.items()), (None, None))
    if name is None:
        bare = (word for word in re.findall(r"(?<!\w)\w{1,64}", comment) if word in names)
        name = next(bare, None)
    numbers = cell and (cell[1], cell[2].split())
    return Title(name, unit, cell_unit, numbers or None)


def step_in(comment: bytes) -> re.Match[bytes] | None:
    """The step's number (group 1) and what stands before it; None without one."""
    if b"tep" in comment or b"STEP" in comment or b"time" in comment:  # a hundredth of the time
        return _STEP.search(comment)
    return None


def counts_in(comment: bytes) -> list[int]:
    """Numbers that may be the step's, by words of other programs: ``MD iter: 20``, ``Step 20``.

    One frame doesn't tell: ``timestep=1`` may be a time, ``iter=12`` those of an electronic energy.
    """
    return [int(match[1]) for match in _COUNT.finditer(comment)]


def time_of(comment: bytes) -> tuple[float, str | None] | None:
    """The time and its unit as the key says it (``time_fs``), None without a time."""
    match = _TIME.search(comment)
    if match is None:
        return None
    try:
        by_cp2k = match[1] is None and _CP2K.search(comment)
        unit = "fs" if by_cp2k else match[1].decode() if match[1] else None
        return float(match[2]), unit
    except ValueError:
        return None

"""A model or a driver by one word, or some in quotes.

::

    water                                    a shipped model, or the file of a metatomic model
    sevennet:7net-0                          FAMILY:MODEL
    'orb:orb-v2 --device cpu'                with options of the family
    'orb --model orb-v2 --device cpu'        the same
    '/other/env/bin/ncforce driver mace --model m.model'   a driver that is started, at a socket
    unix:NAME   tcp:PORT   tcp:HOST:PORT     a driver that comes to /tmp/ipi_NAME, or to a port of
                                             this machine alone, or of a HOST's address
"""

from __future__ import annotations

import logging
import shlex
import shutil
from pathlib import Path
from typing import Any

from ncforce_ipi.backend import Backend, Kind
from ncforce_ipi.errors import InputError
from ncforce_ipi.models import SHIPPED
from ncforce_ipi.models.words import words_of_model
from ncforce_ipi.serve import families
from ncforce_ipi.serve.options import Option, parse_words
from ncforce_ipi.serve.remote import RemoteBackend
from ncforce_ipi.serve.sockets import IPI_PREFIX, Address

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
FORMS = (
    "a shipped model (water), a metatomic file, FAMILY:MODEL, 'FAMILY --model MODEL OPTIONS', "
    "'[PATH/]ncforce driver FAMILY --model ...', or wait for a driver to connect: unix:NAME, "
    "tcp:PORT"
)


def load_model(
    spec: str, *, kind: Kind | None = None, threads: int = 1, **keywords: object
) -> Backend:
    """Load the model, or reach the driver, that ``spec`` names; the caller closes it.

    >>> with load_model("sevennet:7net-0", device="cpu", dtype="float64") as model:
    ...     model.evaluate(structure, Wanted(frozenset(["conservative"])))

    Parameters
    ----------
    spec : one of the forms above
    kind : of the forces of a driver at a socket, which doesn't say; None: conservative
    threads : of the model, unless ``spec`` says it
    keywords : further options of the family's ``load``; what ``spec`` says goes first

    Raises
    ------
    InputError
        It makes no sense.
    ModelError
        It can't be loaded.
    """
    words = words_of_model(spec)
    if not words:
        raise InputError(f"expected {FORMS}; got nothing")
    head, colon, rest = words[0].partition(":")
    started, awaited = words[1:2] == ["driver"], bool(colon) and head in ("unix", "tcp")
    if started or awaited:
        if keywords:
            raise InputError(f"{spec!r} is a driver: give {', '.join(keywords)} in its own words")
        if awaited and threads != 1:
            log.warning(
                "%s: %d threads aren't used; the driver that comes has its own", spec, threads
            )
        return _started(words, kind, threads) if started else _awaited(spec, head, rest, kind)
    family, given = _in_this_process(spec, words)
    values = {"threads": threads, **keywords, **given}
    if "model" not in values:
        raise InputError(f"{spec!r}: the model is missing; expected {family.name}:MODEL")
    return family.load(str(values.pop("model")), **values)


def _in_this_process(spec: str, words: list[str]) -> tuple[families.Family, dict[str, Any]]:
    """The family and what the words say of its options."""
    head, colon, rest = words[0].partition(":")
    known = families.known()
    if colon and head in known:
        words = ["--model", rest, *words[1:]]
    elif Path(spec).is_file():  # whatever is in its name
        head, words = "metatomic", ["--model", spec]
    elif words[0] in SHIPPED or Path(words[0]).is_file() or len(words) == 1:
        head, words = "metatomic", ["--model", *words]
    elif words[0] in known:
        head, words = words[0], words[1:]
    else:
        raise InputError(f"{spec!r}: expected {FORMS}; families: {', '.join(known)}")
    options: dict[str, Option] = known[head].options()
    return known[head], parse_words(options, words, head)


def _started(words: list[str], kind: Kind | None, threads: int) -> Backend:
    program, kind = shutil.which(words[0]), kind or "conservative"
    if not program:
        raise InputError(f"{words[0]} is no program; expected ncforce or the path of one")
    own = ["--role", "slow", "--slow-kind", kind]
    own += ["--keep-net-force"] * (kind == "direct")  # as from a model here: who asks removes it
    if not any(word.partition("=")[0] == "--threads" for word in words):
        own += ["--threads", str(threads)]

    def command(structure: Path) -> list[str]:
        return [program, *words[1:], *own, "--structure", str(structure)]

    return RemoteBackend(kind, None, command, shlex.join(words[2:]))


def _awaited(spec: str, transport: str, rest: str, kind: Kind | None) -> Backend:
    kind = kind or "conservative"
    host, _, port = rest.rpartition(":")
    if transport == "unix" and rest and "/" not in rest:
        return RemoteBackend(kind, Address(path=f"{IPI_PREFIX}{rest}"), None, spec)
    if transport == "tcp" and port.isdigit() and 0 < int(port) < 65536:
        return RemoteBackend(kind, Address(host=host or LOOPBACK, port=int(port)), None, spec)
    raise InputError(
        f"{spec!r}: expected unix:NAME (of {IPI_PREFIX}NAME), tcp:PORT or tcp:HOST:PORT"
    )

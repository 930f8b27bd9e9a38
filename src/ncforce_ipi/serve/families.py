"""Which families of models there are, and a model of one of them.

A family is a module with ``load(model, *, device, dtype, threads, trust, ...) -> Backend`` and
``FORCES``, one line on its kinds of force; ``ipi_drivers/README.md`` says how to write one.  Ours
are in ``OWN``; any installed package adds others by an entry point of the group
``ncforce_ipi.drivers``.  No model library is imported before a model is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from ncforce_ipi.backend import Backend
from ncforce_ipi.errors import InputError, ModelError
from ncforce_ipi.serve.options import Option, options_of, read_all

GROUP = "ncforce_ipi.drivers"
OWN = ("metatomic", "sevennet", "orb", "mace", "equiformer", "fairchem", "ase", "analytic")
COMMON = ("model", "device", "dtype", "threads", "trust")  # what every ``load`` takes
PACKAGE = "ncforce_ipi"


@dataclass(frozen=True)
class Family:
    """A family of models.

    Attributes
    ----------
    name : on the command line
    value : of its entry point, the module
    origin : name and version of the distribution that it comes from; ``ncforce_ipi`` for ours
    """

    name: str
    value: str
    origin: str = PACKAGE

    @property
    def own(self) -> bool:
        """Whether it is one of ours."""
        return self.origin == PACKAGE

    def module(self) -> Any:
        """The module; model libraries aren't imported.

        Raises
        ------
        ModelError
            It can't be imported, or is no family.
        """
        try:
            module = metadata.EntryPoint(self.name, self.value, GROUP).load()
        except Exception as err:  # it is somebody's package
            why = f"{type(err).__name__}: {err}".splitlines()[0]
            raise ModelError(f"{self._who} can't be imported: {why}; mend or remove it") from err
        if not callable(getattr(module, "load", None)):
            raise ModelError(f"{self._who}: {self.value} has no function load")
        return module

    def forces(self) -> str:
        """One line on its kinds of force."""
        module = self.module()
        return str(getattr(module, "FORCES", (module.__doc__ or "").split("\n")[0]))

    def options(self) -> dict[str, Option]:
        """All options of its ``load``, those that every family has first.

        Raises
        ------
        ModelError
            ``load`` lacks one of those, or takes what no word of a command line can stand for.
        """
        found = options_of(self.module().load)
        if lacking := [name for name in COMMON if name not in found]:
            raise ModelError(f"{self._who}: expected load({', '.join(COMMON)}, ...); "
                             f"it has no {' and no '.join(lacking)}")  # fmt: skip
        return {name: found[name] for name in (*COMMON, *found)}

    def load(self, model: str, **keywords: object) -> Backend:
        """A model by what ``--model`` says, and other options of ``load`` as keywords.

        Raises
        ------
        InputError
            No such option or value.
        ModelError
            The model can't be loaded.
        """
        values = read_all(self.options(), {"model": model, **keywords}, self.name)
        backend = self.module().load(values.pop("model"), **values)
        if not isinstance(backend, Backend):
            raise ModelError(
                f"{self._who}: load gave a {type(backend).__name__}, expected a subclass of "
                "ncforce_ipi.backend.Backend"
            )
        return backend

    @property
    def _who(self) -> str:
        return f"model family {self.name} of {self.origin}"


def known() -> dict[str, Family]:
    """All families by name: ours first, then others in the order of their names."""
    families = {name: _own(name) for name in OWN}
    for family in sorted(_others(), key=lambda each: (each.name, each.origin)):
        families.setdefault(family.name, family)
    return families


def ignored() -> list[Family]:
    """Families of other packages whose names are taken."""
    taken = known()
    return [family for family in _others() if taken[family.name] != family]


def find(name: str) -> Family:
    """The family of this name.

    Raises
    ------
    InputError
        There is none.
    """
    families = {name: _own(name)} if name in OWN else known()
    if name not in families:
        raise InputError(f"no model family {name!r}; families: {', '.join(families)}")
    return families[name]


def load(family: str, model: str, **keywords: object) -> Backend:
    """As ``find(family).load(model, ...)``."""
    return find(family).load(model, **keywords)


def _own(name: str) -> Family:
    return Family(name, f"{GROUP}.{name}")


def _others() -> Iterator[Family]:
    """What entry points add; our own are there too where our package has been installed."""
    ours = {_own(name).value for name in OWN}
    for point in metadata.entry_points(group=GROUP):
        if point.value not in ours:
            origin = f"{point.dist.name} {point.dist.version}" if point.dist else "somewhere"
            yield Family(point.name, point.value, origin)


def requirements(family: str) -> Path:
    """The requirements file of a family of ours; its first requirement is the library."""
    folder = Path(str(import_module(GROUP).__file__)).with_name("requirements")
    return folder / f"{family}.txt"


def library(family: str) -> str | None:
    """The distribution that a family of ours needs first of all; None if numpy is enough."""
    first = _first_requirement(family)
    return re.split(r"[<>=!~;\[ ]", first)[0] if first else None


def installed(family: str) -> str | None:
    """Name and version of the library of a family of ours; None if it isn't here.

    Another major version isn't it: fairchem-core 1 and 2 belong to two families.
    """
    name = library(family)
    if name is None:
        return "needs numpy only"
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
    wanted = re.search(r"==(\d+)", _first_requirement(family))
    if wanted and wanted[1] != version.split(".")[0]:
        return None
    return f"{name} {version}"


def _first_requirement(family: str) -> str:
    lines = requirements(family).read_text(encoding="utf-8").splitlines()
    words = [line.split("#")[0].strip() for line in lines]
    return next((word for word in words if word and not word.startswith("-")), "")

"""Whether a driver is the one that its server's input was written for.

A server that says nothing of it in INIT (any other program's input) is served as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ncforce_ipi.backend import Kind, Role
from ncforce_ipi.errors import InputError
from ncforce_ipi.models.identity import AND, ATOMS, MODEL, NEEDS, ROLE, VIRIAL

WHERE = "the <parameters> of its input"


@dataclass(frozen=True)
class Claims:
    """What a driver is, on one of its connections.

    Attributes
    ----------
    address : of the server, for messages
    role : that it serves there
    kind : of the forces that it sends
    models : every identity of its model, by its file and by its name
    sends : ``direct-energy``, ``direct-virial``: what goes along with direct forces; ``virial``:
        with conservative ones
    atoms : identity of the atoms of ``--structure``; empty if that isn't compared
    """

    address: str
    role: Role
    kind: Kind
    models: frozenset[str]
    sends: frozenset[str]
    atoms: str = ""

    def check(self, said: Mapping[str, str]) -> None:
        """Compare with the parameters of INIT.

        Raises
        ------
        InputError
            The server wants another role or model, has other atoms, or needs more than is sent.
        """
        if self.role != said.get(ROLE, self.role):
            raise InputError(
                f"{self.address} asks for the {said[ROLE]} force ({WHERE}), this driver serves "
                f"the {self.role} force there; the addresses of slow and fast are swapped"
            )
        if MODEL in said and said[MODEL] not in self.models:
            raise InputError(
                f"{self.address} asks for model {said[MODEL]} ({WHERE}), this driver has "
                f"{', '.join(sorted(self.models))}; it belongs to another run, or the model was "
                "changed: write the input again with `ncforce input`"
            )
        if self.atoms != said.get(ATOMS, self.atoms) and self.atoms:
            raise InputError(
                f"{self.address} has other atoms, or in another order, than --structure "
                f"({ATOMS} {said[ATOMS]} in {WHERE}, here {self.atoms}); give the file from which "
                "that server starts, or take the word out of an input whose start was changed"
            )
        lacking = self._lacking(set(filter(None, said.get(NEEDS, "").split(AND))))
        if not lacking:
            return
        if lacking == [VIRIAL]:
            raise InputError(
                f"{self.address} needs {VIRIAL} ({WHERE}), which this driver would send as 0; "
                "leave --no-virial out, give a model with stress, or take another ensemble"
            )
        raise InputError(
            f"{self.address} needs {' and '.join(lacking)} ({WHERE}), which this driver would "
            f"send as 0; start it with {' '.join(f'--{name}' for name in lacking)}"
        )

    def _lacking(self, needs: set[str]) -> list[str]:
        """What is needed and not sent; a virial is one whichever kind of force the input is for."""
        pressure = bool(needs & {VIRIAL, "direct-virial"})
        if self.kind == "conservative":
            return [VIRIAL] if pressure and VIRIAL not in self.sends else []
        wanted = needs - {VIRIAL} | ({"direct-virial"} if pressure else set())
        return sorted(wanted - self.sends)

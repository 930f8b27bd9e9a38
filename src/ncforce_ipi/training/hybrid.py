"""Hybrid force model: one equivariant trunk, an energy head and a direct-force head.

This file owns the architecture and nothing else: no data, no training, no file format, no units
beyond A and eV.  It knows pairs of atoms, not structures, so that any neighbour list can feed it.

The trunk is a message-passing network in the manner of PaiNN (Schuett, Unke, Gastegger, ICML 2021,
arXiv 2102.03150): every atom ``i`` carries scalars ``h`` and vectors ``V``, and, where the material
has angles to tell apart (carbon), traceless symmetric tensors ``T`` of the pair directions (l = 2),
which are made anew in each layer or, ``coupled``, go on from layer to layer and between neighbours
(``interaction``).  Two readouts follow.

*Conservative*: the energy is a sum of an MLP of ``h``.  Differentiating it with respect to the pair
vectors ``r_ij = r_j - r_i`` gives a pair force ``G_ij = dE/dr_ij`` (the force on ``i`` along the
pair), and with it forces and virial alike::

    F_i = sum_j G_ij - sum_j G_ji                 virial = - sum_ij  G_ij (x) r_ij

*Direct*: the head predicts such pair forces without differentiating.  Back-propagation through a
PaiNN layer yields, for each pair, products of a feature of one atom with an adjoint of the other
times a function of the distance, along the pair, and gated atomic vectors across it.  The head has
that same form, antisymmetric under the exchange of the two atoms (``U`` vectors, ``x``, ``y``,
``z`` scalars of one atom, made from the features of all layers; ``phi``, ``w`` symmetric in
``(i, j)``)::

    f_ij = [phi_ij + sum_c R_c(r_ij) (y_ic x_jc + y_jc x_ic)] u_ij
           + sum_c w_ijc (U_ic z_jc - U_jc z_ic) + sum_c w'_ijc (T_ic z'_jc + T_jc z'_ic) u_ij

The products matter: of heads trained alike on the conservative force of one and the same network
(3000 steps), one without them had an error of 34 meV/A, one with them 28, and 27 with the features
of all layers instead of the last; message passing inside the head gained nothing further.

Hence the direct force is rotation-equivariant, its net force is zero, and its virial costs nothing.
It is not a gradient of anything: its Jacobian is not symmetric.
"""

import math

import torch
from torch import Tensor, nn

from ncforce_ipi.training.directhead import DirectHead
from ncforce_ipi.training.geometry import PairGeometry
from ncforce_ipi.training.interaction import CoupledInteraction, Interaction


class HybridNet(nn.Module):
    """Energy and direct pair forces from a half list of pairs.

    Parameters
    ----------
    species
        Atomic numbers that the model knows, ascending.
    cutoff
        Largest pair distance, A.
    channels, layers
        Width of the trunk and number of message-passing layers.
    head_channels
        Width of the direct head.
    n_radial
        Number of radial functions: Gaussians of ``exp(r_min - r)``, dense at bond lengths.
    r_min
        About the shortest distance, A.
    tensor_channels
        Width of the tensors in trunk and head; 0 for none.
    coupled
        Neighbours send their vectors and tensors too, seen along the pair.
    """

    species_index: Tensor  # (largest atomic number + 1,): position among the species, -1 = unknown
    centres: Tensor  # (n_radial,)
    energy_shift: Tensor  # (n_species,), eV, float64

    def __init__(
        self,
        species: list[int],
        cutoff: float = 4.5,
        channels: int = 48,
        layers: int = 3,
        head_channels: int = 48,
        n_radial: int = 24,
        r_min: float = 0.6,
        tensor_channels: int = 0,
        coupled: bool = False,
    ) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.channels = channels
        self.tensor_channels = tensor_channels
        self.r_min = r_min
        index = torch.full((max(species) + 1,), -1, dtype=torch.long)
        index[torch.tensor(species)] = torch.arange(len(species))
        self.register_buffer("species_index", index)
        lowest = math.exp(r_min - cutoff)
        self.register_buffer("centres", torch.linspace(lowest, 1.0, n_radial))
        self.beta = (2.0 / n_radial * (1.0 - lowest)) ** -2
        self.register_buffer("energy_shift", torch.zeros(len(species), dtype=torch.float64))

        self.embedding = nn.Embedding(len(species), channels)
        self.layers = nn.ModuleList(
            CoupledInteraction(channels, n_radial, tensor_channels, first=k == 0)
            if coupled
            else Interaction(channels, n_radial, tensor_channels, first=k == 0)
            for k in range(layers)
        )
        self.energy = nn.Sequential(
            nn.Linear(channels, channels), nn.SiLU(), nn.Linear(channels, 1)
        )
        self.direct = DirectHead(
            layers * channels, head_channels, n_radial, layers * tensor_channels, tensor_channels
        )

    def trunk(
        self, types: Tensor, i: Tensor, j: Tensor, vectors: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, PairGeometry]:
        """Atomic scalars ``(n_atoms, L C)``, vectors ``(n_atoms, 3, L C)``, tensors
        ``(n_atoms, 5, L C')``, and pair geometry.

        The features of all ``L`` layers stand side by side, those of the last layer at the end.
        ``types`` ``(n_atoms,)`` atomic numbers; ``i``, ``j`` ``(n_pairs,)``, each pair once;
        ``vectors`` ``(n_pairs, 3)``, A, from ``i`` to ``j``.
        """
        pairs = self.pair_geometry(vectors)
        h = self.embedding(self.species_index[types])
        v = torch.zeros(h.shape[0], 3, h.shape[1], dtype=h.dtype, device=h.device)
        t = torch.zeros(h.shape[0], 5, self.tensor_channels, dtype=h.dtype, device=h.device)
        scalars: list[Tensor] = []
        equivariants: list[Tensor] = []
        tensors: list[Tensor] = []
        for layer in self.layers:
            h, v, t = layer(h, v, t, i, j, pairs)
            scalars.append(h)
            equivariants.append(v)
            tensors.append(t)
        h, v = torch.cat(scalars, dim=1), torch.cat(equivariants, dim=2)
        return h, v, torch.cat(tensors, dim=2), pairs

    def pair_geometry(self, vectors: Tensor) -> PairGeometry:
        """Directions and radial functions of all pairs."""
        distance = torch.sqrt((vectors * vectors).sum(1, keepdim=True))
        unit = vectors / distance
        envelope = 0.5 * (1.0 + torch.cos(math.pi / self.cutoff * distance.clamp(max=self.cutoff)))
        radial = envelope * torch.exp(
            -self.beta * (torch.exp(self.r_min - distance) - self.centres) ** 2
        )
        return PairGeometry(unit, radial, envelope)

    def atom_energies(self, h: Tensor) -> Tensor:
        """``(n_atoms,)``, eV, without the shift per species."""
        return self.energy(h[:, -self.channels :])[:, 0]

    def pair_forces(
        self,
        h: Tensor,
        v: Tensor,
        t: Tensor,
        i: Tensor,
        j: Tensor,
        pairs: PairGeometry,
    ) -> Tensor:
        """``(n_pairs, 3)``, eV/A: direct force on ``i`` from the pair; ``j`` feels the opposite."""
        return self.direct(h, v, t, i, j, pairs)

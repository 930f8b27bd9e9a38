"""The architecture's exact properties: symmetries of both forces, locality, no gradient field."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator
from scipy.spatial.transform import Rotation

from ncforce_ipi.training.dataset import Packer, to_frame
from ncforce_ipi.training.geometry import apply_tensor, quadratic
from ncforce_ipi.training.hybrid import HybridNet
from ncforce_ipi.training.objective import predict

CUTOFF_A = 4.5
# double precision, sums of some 1e3 terms of order one
TOLERANCE = 1e-10


@pytest.fixture(params=[(0, False), (4, False), (4, True)], ids=["vectors", "tensors", "coupled"])
def net(request):
    torch.manual_seed(1)
    sizes = {"channels": 8, "layers": 2, "head_channels": 8, "n_radial": 8}
    tensors, coupled = request.param
    made = HybridNet([1, 8], CUTOFF_A, **sizes, tensor_channels=tensors, coupled=coupled).double()
    with torch.no_grad():  # nothing stays zero as it begins
        for parameter in made.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    return made


def forces(net, atoms):
    atoms = atoms.copy()
    atoms.calc = SinglePointCalculator(
        atoms, energy=0.0, forces=np.zeros((len(atoms), 3)), stress=np.zeros(6)
    )
    frame = to_frame(atoms, net.cutoff)
    index = net.species_index
    packer = Packer(1, len(frame), len(frame.first), net.cutoff, net.energy_shift, index)
    batch = packer.pack([frame])
    batch = batch._replace(
        **{
            name: getattr(batch, name).double()
            for name in ("vectors", "forces", "real", "energy", "strain_gradient", "sizes")
        }
    )
    return predict(net, batch)


def energy(net, atoms):
    return float(forces(net, atoms).energies[0])


def test_both_forces_rotate_with_the_structure(net, water):
    # vectors are stored in single precision by to_frame: 1e-5 of forces of order 0.1
    before = forces(net, water)
    rotation = Rotation.random(random_state=3).as_matrix()
    turned = water.copy()
    turned.set_cell(water.cell.array @ rotation.T)
    turned.positions = water.positions @ rotation.T
    after = forces(net, turned)
    for kind in ("conservative", "direct"):
        expected = getattr(before, kind).numpy() @ rotation.T
        np.testing.assert_allclose(getattr(after, kind).numpy(), expected, atol=1e-5)


def test_net_force_is_zero(net, water):
    found = forces(net, water)
    assert float(found.direct.abs().max()) > 1e-3  # or there would be nothing to sum
    assert float(found.direct.sum(0).abs().max()) < TOLERANCE
    assert float(found.conservative.sum(0).abs().max()) < TOLERANCE


def test_exchange_of_the_two_ends_turns_the_pair_force_round(net, water):
    batch_args = to_frame(water, net.cutoff)
    vectors = batch_args.vectors.double()
    h, v, t, pairs = net.trunk(batch_args.types, batch_args.first, batch_args.second, vectors)
    one = net.pair_forces(h, v, t, batch_args.first, batch_args.second, pairs)
    turned = pairs._replace(unit=-pairs.unit)
    other = net.pair_forces(h, v, t, batch_args.second, batch_args.first, turned)
    torch.testing.assert_close(other, -one, atol=TOLERANCE, rtol=0)


def test_conservative_force_is_the_gradient_and_the_direct_one_is_not(net, water):
    found, step = forces(net, water), 1e-3
    gradient, asymmetry = np.zeros(3), np.zeros((3, 3))
    for axis in range(3):
        energies, moved = [], []
        for sign in (1, -1):
            atoms = water.copy()
            atoms.positions[5, axis] += sign * step
            energies.append(energy(net, atoms))
            moved.append(forces(net, atoms).direct[5].numpy())
        gradient[axis] = -(energies[0] - energies[1]) / (2 * step)
        asymmetry[axis] = (moved[0] - moved[1]) / (2 * step)
    # single-precision vectors: energy noise 1e-8 over 2e-3 A, and the cubic term of the difference
    np.testing.assert_allclose(gradient, found.conservative[5].numpy(), atol=2e-4)
    assert np.abs(found.direct[5].numpy() - gradient).max() > 1e-2
    assert np.abs(asymmetry - asymmetry.T).max() > 1e-4


def test_an_atom_that_leaves_the_cutoff_leaves_smoothly(net):
    types = torch.tensor([8, 1])
    i, j = torch.tensor([0]), torch.tensor([1])

    def at(distance):
        r = torch.tensor([[distance, 0.0, 0.0]], dtype=torch.float64)
        h, v, t, pairs = net.trunk(types, i, j, r)
        pair = net.pair_forces(h, v, t, i, j, pairs).detach()
        return float(net.atom_energies(h).detach().sum()), float(pair.abs().max())

    inside, at_cutoff, beyond = at(CUTOFF_A - 1e-4), at(CUTOFF_A), at(CUTOFF_A + 1e-4)
    assert at_cutoff[1] == pytest.approx(0.0, abs=TOLERANCE)
    # the envelope is quadratic at the cutoff: (pi/2 1e-4 / 4.5)^2 = 1e-9 of what it was
    assert inside[0] == pytest.approx(beyond[0], abs=1e-7)


def test_tensors_are_second_legendre_polynomials():
    """Products of two directions' components, and a tensor times a vector, by their definitions."""
    torch.manual_seed(2)
    unit = torch.nn.functional.normalize(torch.randn(6, 3, dtype=torch.float64), dim=1)
    t = quadratic(unit)
    cosine = unit @ unit.T
    torch.testing.assert_close(t @ t.T, 1.5 * cosine**2 - 0.5)
    dense = 1.5 * (unit[:, :, None] * unit[:, None, :] - torch.eye(3, dtype=torch.float64) / 3)
    vectors = torch.randn(6, 3, 2, dtype=torch.float64)
    found = apply_tensor(math.sqrt(1.5) * t[:, :, None], vectors)
    torch.testing.assert_close(found, dense @ vectors)

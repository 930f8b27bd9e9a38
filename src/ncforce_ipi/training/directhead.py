"""The direct-force head of ``hybrid.HybridNet``; what it computes is said there."""

from torch import Tensor, nn

from ncforce_ipi.training.geometry import PairGeometry, apply_tensor


class DirectHead(nn.Module):
    """Antisymmetric pair forces from the atomic features of the two ends.

    Like back-propagation, which it stands in for, it first turns the features of each atom into
    adjoints (``atoms``: nonlinear, cheap, once an atom) and then multiplies those of one atom with
    features of the other.
    """

    def __init__(
        self, channels: int, width: int, n_radial: int, tensor_channels: int, tensor_width: int
    ) -> None:
        super().__init__()
        self.width, self.tensor_width = width, tensor_width
        self.scalars = nn.Linear(channels, width, bias=False)
        self.vectors = nn.Linear(channels, width, bias=False)
        last = nn.Linear(width, 4 * width + 2 * tensor_width)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.atoms = nn.Sequential(nn.Linear(channels, width), nn.SiLU(), last)
        self.feature = nn.Linear(channels, width)
        self.radial = nn.Linear(n_radial, width)
        self.product_radial = nn.Linear(n_radial, width)
        self.along = nn.Linear(width, width, bias=False)
        self.product = nn.Linear(width, width, bias=False)
        self.hidden = nn.Linear(width, width)
        self.out = nn.Linear(width, width + 1 + tensor_width)
        if tensor_width > 0:
            self.tensors = nn.Linear(tensor_channels, tensor_width, bias=False)
            self.along_tensors = nn.Linear(tensor_width, width, bias=False)

    def forward(
        self, h: Tensor, v: Tensor, t: Tensor, i: Tensor, j: Tensor, pairs: PairGeometry
    ) -> Tensor:
        n, unit, envelope = self.width, pairs.unit, pairs.envelope
        adjoints = self.atoms(h)
        correction, gain = adjoints[:, :n], adjoints[:, n : 2 * n]
        partner, adjoint = adjoints[:, 2 * n : 3 * n], adjoints[:, 3 * n : 4 * n]
        s, x, z = self.scalars(h) + correction, self.feature(h), 1.0 + partner
        u = self.vectors(v) * (1.0 + gain)[:, None, :]
        difference = u[i] * z[j][:, None, :] - u[j] * z[i][:, None, :]  # (pairs, 3, width)
        along = (difference * unit[:, :, None]).sum(1)  # (pairs, width)
        product = (adjoint[i] * x[j] + adjoint[j] * x[i]) * self.product_radial(pairs.radial)
        hidden = s[i] + s[j] + self.radial(pairs.radial) + self.along(along) + self.product(product)
        turned = difference
        if hasattr(self, "tensors"):  # TorchScript decides this when it compiles
            m = 4 * n + self.tensor_width
            tensors = self.tensors(t) * (1.0 + adjoints[:, 4 * n : m])[:, None, :]
            z = 1.0 + adjoints[:, m:]
            both = (
                tensors[i] * z[j][:, None, :] + tensors[j] * z[i][:, None, :]
            )  # (pairs, 5, width)
            turned = apply_tensor(both, unit[:, :, None])  # (pairs, 3, width)
            hidden = hidden + self.along_tensors((turned * unit[:, :, None]).sum(1))
        hidden = self.hidden(nn.functional.silu(hidden))
        out = self.out(nn.functional.silu(hidden)) * envelope
        radial_force = out[:, :1] + product.sum(1, keepdim=True) * envelope
        force = radial_force * unit + (out[:, 1 : n + 1][:, None, :] * difference).sum(2)
        if hasattr(self, "tensors"):
            force = force + (out[:, n + 1 :][:, None, :] * turned).sum(2)
        return force

"""Message-passing layers of ``hybrid.HybridNet``: features from neighbours, mixed on each atom.

``Interaction`` is PaiNN's, with tensors of the pair directions on top.  In ``CoupledInteraction``
the vectors and tensors of the neighbours travel too: whole, and contracted with the direction of
the pair, which tells an atom how its neighbour's surroundings are turned towards it (dihedrals).
"""

import torch
from torch import Tensor, nn

from ncforce_ipi.training.geometry import PairGeometry, apply_tensor, quadratic


class Interaction(nn.Module):
    """One message-passing layer: features from neighbours, then mixed on each atom."""

    def __init__(self, channels: int, n_radial: int, tensor_channels: int, first: bool) -> None:
        super().__init__()
        self.first = first  # the vectors that come in are zero
        self.tensor_channels = tensor_channels
        self.n_filters = 2 if first else 3
        self.channels = channels
        self.filters = nn.Sequential(
            nn.Linear(n_radial, channels),
            nn.SiLU(),
            nn.Linear(channels, self.n_filters * channels + tensor_channels),
        )
        self.source = nn.Linear(channels, channels + tensor_channels, bias=False)
        self.mix = nn.Linear(channels, 2 * channels, bias=False)
        n_in, n_out = 3 * channels, 2 * channels
        if tensor_channels > 0:
            self.mix_tensors = nn.Linear(tensor_channels, 2 * tensor_channels, bias=False)
            self.narrow = nn.Linear(channels, tensor_channels, bias=False)
            self.widen = nn.Linear(tensor_channels, channels, bias=False)
            n_in, n_out = n_in + 2 * tensor_channels, n_out + tensor_channels
        last = nn.Linear(2 * channels, n_out)
        nn.init.normal_(last.weight, std=0.02)
        self.update = nn.Sequential(nn.Linear(n_in, 2 * channels), nn.SiLU(), last)

    def forward(
        self, h: Tensor, v: Tensor, t: Tensor, i: Tensor, j: Tensor, pairs: PairGeometry
    ) -> tuple[Tensor, Tensor, Tensor]:
        n = self.channels
        filters = self.filters(pairs.radial) * (0.25 * pairs.envelope)
        x = self.source(h)
        x_i, x_j = x[i], x[j]
        message = torch.zeros_like(h)
        message = message.index_add(0, i, filters[:, :n] * x_j[:, :n])
        message = message.index_add(0, j, filters[:, :n] * x_i[:, :n])
        u = pairs.unit[:, :, None]
        to_i = u * (filters[:, n : 2 * n] * x_j[:, :n])[:, None, :]  # (pairs, 3, channels)
        to_j = u * (filters[:, n : 2 * n] * x_i[:, :n])[:, None, :]
        if self.first:
            to_j = -to_j
        else:
            gate = filters[:, 2 * n : 3 * n][:, None, :]
            to_i = to_i + gate * v[j]
            to_j = gate * v[i] - to_j
        v = v.index_add(0, i, to_i).index_add(0, j, to_j)

        mixed = self.mix(v)
        p, q = mixed[:, :, :n], mixed[:, :, n:]
        norm = torch.sqrt((p * p).sum(1) + 1e-6)
        dot = 0.125 * (p * q).sum(1)
        h = h + message
        # no chunk: where one part needs no gradient, TorchScript's own gives a wrong shape
        if not hasattr(self, "mix_tensors"):  # TorchScript decides this when it compiles
            change = self.update(torch.cat([h, norm, dot], dim=1))
            delta, gain = change[:, :n], change[:, n:]
            return h + delta, v + p * gain[:, None, :], h.new_zeros(h.shape[0], 5, 0)
        weight = filters[:, self.n_filters * n :]
        directions = quadratic(pairs.unit)[:, :, None]  # (pairs, 5, 1)
        t = torch.zeros(h.shape[0], 5, self.tensor_channels, dtype=h.dtype, device=h.device)
        t = t.index_add(0, i, directions * (weight * x_j[:, n:])[:, None, :])
        t = t.index_add(0, j, directions * (weight * x_i[:, n:])[:, None, :])
        mixed = self.mix_tensors(t)
        a, b = mixed[:, :, : self.tensor_channels], mixed[:, :, self.tensor_channels :]
        size = torch.sqrt((a * a).sum(1) + 1e-6)
        product = 0.125 * (a * b).sum(1)
        change = self.update(torch.cat([h, norm, dot, size, product], dim=1))
        delta, gain, turn = change[:, :n], change[:, n : 2 * n], change[:, 2 * n :]
        turned = self.widen(apply_tensor(b, self.narrow(v)) * turn[:, None, :])
        return h + delta, v + p * gain[:, None, :] + turned, t


def bounded(features: Tensor) -> Tensor:
    """Features ``(n_atoms, ..., channels)`` of an atom, divided by sqrt(1 + their mean square).

    What is sent to neighbours can't grow from layer to layer, and zeros stay zeros.
    """
    if features.dim() == 2:
        square = (features * features).mean(1, keepdim=True)
    else:
        square = (features * features).sum(1, keepdim=True).mean(2, keepdim=True)
    return features * torch.rsqrt(1.0 + square)


class CoupledInteraction(nn.Module):
    """A message-passing layer where neighbours send scalars, vectors and tensors.

    Contractions with the direction of the pair, u.V_j and u.T_j u, are summed with weights that
    depend on the distance and join the invariants from which each atom is updated; T_j u is a
    vector.
    """

    def __init__(self, channels: int, n_radial: int, tensor_channels: int, first: bool) -> None:
        super().__init__()
        n, m = channels, tensor_channels
        self.channels, self.tensor_channels = n, m
        # the vectors and tensors that come into the first layer are zero
        n_filters = 2 * n + m if first else 4 * n + 4 * m
        self.filters = nn.Sequential(nn.Linear(n_radial, n), nn.SiLU(), nn.Linear(n, n_filters))
        self.source = nn.Linear(n, n + m, bias=False)
        self.mix = nn.Linear(n, 2 * n, bias=False)
        self.mix_tensors = nn.Linear(m, 2 * m, bias=False)
        self.narrow = nn.Linear(n, m, bias=False)
        self.widen = nn.Linear(m, n, bias=False)
        n_in = 3 * n + 2 * m
        if not first:
            self.seen_tensors = nn.Linear(m, n, bias=False)
            n_in = n_in + n + m
        last = nn.Linear(2 * n, 2 * n + 2 * m)
        nn.init.normal_(last.weight, std=0.02)
        self.update = nn.Sequential(nn.Linear(n_in, 2 * n), nn.SiLU(), last)

    def forward(
        self, h: Tensor, v: Tensor, t: Tensor, i: Tensor, j: Tensor, pairs: PairGeometry
    ) -> tuple[Tensor, Tensor, Tensor]:
        n, m, n_atoms = self.channels, self.tensor_channels, h.shape[0]
        filters = self.filters(pairs.radial) * (0.25 * pairs.envelope)
        x = self.source(bounded(h))
        x_i, x_j = x[i], x[j]
        u = pairs.unit[:, :, None]
        f_scalar, f_vector = filters[:, :n], filters[:, n : 2 * n]
        f_tensor = filters[:, 2 * n : 2 * n + m]
        sums = torch.zeros(n_atoms, n, dtype=h.dtype, device=h.device)
        sums = sums.index_add(0, i, f_scalar * x_j[:, :n]).index_add(0, j, f_scalar * x_i[:, :n])
        directions = quadratic(pairs.unit)[:, :, None]  # (pairs, 5, 1)
        v_to_i = u * (f_vector * x_j[:, :n])[:, None, :]  # (pairs, 3, channels)
        v_to_j = -u * (f_vector * x_i[:, :n])[:, None, :]
        t_to_i = directions * (f_tensor * x_j[:, n:])[:, None, :]  # (pairs, 5, tensor channels)
        t_to_j = directions * (f_tensor * x_i[:, n:])[:, None, :]
        along = sums  # not used in the first layer
        if hasattr(self, "seen_tensors"):  # TorchScript decides this when it compiles
            start = 2 * n + m
            f_sent, f_along = filters[:, start : start + n], filters[:, start + n : start + 2 * n]
            start += 2 * n
            g_sent, g_across = filters[:, start : start + m], filters[:, start + m : start + 2 * m]
            g_along = filters[:, start + 2 * m :]
            sent, sent_tensors = bounded(v), bounded(t)
            v_i, v_j, t_i, t_j = sent[i], sent[j], sent_tensors[i], sent_tensors[j]
            v_to_i = v_to_i + f_sent[:, None, :] * v_j
            v_to_j = v_to_j + f_sent[:, None, :] * v_i
            t_to_i = t_to_i + g_sent[:, None, :] * t_j
            t_to_j = t_to_j + g_sent[:, None, :] * t_i
            across_i, across_j = apply_tensor(t_i, u), apply_tensor(t_j, u)
            across = torch.zeros(n_atoms, 3, m, dtype=h.dtype, device=h.device)
            across = across.index_add(0, i, g_across[:, None, :] * across_j)
            across = across.index_add(0, j, -g_across[:, None, :] * across_i)
            v = v + self.seen_tensors(across)
            to_i = torch.cat([f_along * (v_j * u).sum(1), g_along * (across_j * u).sum(1)], dim=1)
            to_j = torch.cat([-f_along * (v_i * u).sum(1), g_along * (across_i * u).sum(1)], dim=1)
            along = torch.zeros(n_atoms, n + m, dtype=h.dtype, device=h.device)
            along = along.index_add(0, i, to_i).index_add(0, j, to_j)
        h = h + sums
        v = v.index_add(0, i, v_to_i).index_add(0, j, v_to_j)
        t = t.index_add(0, i, t_to_i).index_add(0, j, t_to_j)

        mixed, mixed_tensors = self.mix(v), self.mix_tensors(t)
        p, q = mixed[:, :, :n], mixed[:, :, n:]
        a, b = mixed_tensors[:, :, :m], mixed_tensors[:, :, m:]
        invariants = [
            h,
            torch.sqrt((p * p).sum(1) + 1e-6),
            0.125 * (p * q).sum(1),
            torch.sqrt((a * a).sum(1) + 1e-6),
            0.125 * (a * b).sum(1),
        ]
        if hasattr(self, "seen_tensors"):
            invariants.append(along)
        change = self.update(torch.cat(invariants, dim=1))
        delta, gain = change[:, :n], change[:, n : 2 * n]
        turn, stretch = change[:, 2 * n : 2 * n + m], change[:, 2 * n + m :]
        turned = self.widen(apply_tensor(b, self.narrow(v)) * turn[:, None, :])
        return h + delta, v + p * gain[:, None, :] + turned, t + a * stretch[:, None, :]

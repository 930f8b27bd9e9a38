"""What a GPU training needs and can show without a GPU: batches made ahead, errors, clock."""

from __future__ import annotations

import csv
from itertools import islice

import pytest
import torch

from ncforce_ipi.cli import main
from ncforce_ipi.training import fit
from ncforce_ipi.training.dataset import Packer, Sampler
from ncforce_ipi.training.device import ahead

from .conftest import CUTOFF_A


def sampler(frames, mix):
    n_pairs = 2 * max(len(f.first) for f in frames)
    index = torch.arange(9)
    packer = Packer(2, 2 * len(frames[0]), n_pairs, CUTOFF_A, torch.zeros(9), index)
    return Sampler([(frames[:2], 0.5), (frames[2:], 0.5)], packer, 3, mix)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # where one CPU is free
def test_batches_made_ahead_are_those_of_the_workers_seeds_in_turn(frames):
    found = list(islice(ahead(sampler(frames, True), [5], 2), 6))
    own = []
    for worker in range(2):
        own.append(sampler(frames, True))
        own[-1].reseed([5, worker])
    for k, batch in enumerate(found):
        expected = own[k % 2].draw()
        assert type(batch) is type(expected)
        torch.testing.assert_close(batch.vectors, expected.vectors, rtol=0, atol=0)
        torch.testing.assert_close(batch.graph, expected.graph, rtol=0, atol=0)


def pools_of(batch, frames):
    """Which of the two pools each frame of the batch is from."""
    n = len(frames[0])
    forces = [batch.forces[k * n : (k + 1) * n] for k in range(2)]
    return [next(k for k, f in enumerate(frames) if torch.equal(f.forces, g)) // 2 for g in forces]


@pytest.mark.parametrize("mix", [False, True])
def test_mixed_batches_have_frames_of_several_pools(frames, mix):
    made = sampler(frames, mix)
    found = [pools_of(made.draw(), frames) for _ in range(40)]
    assert any(a != b for a, b in found) == mix


@pytest.mark.parametrize("device", ["cuda:77", "tpu"])
def test_a_device_that_is_not_there_is_one_line(folder, capsys, device):
    words = ["train", str(folder / "recipe.toml"), "--device", device, "--out", str(folder / "out")]
    assert main(words) == 1
    assert f"device {device} isn't here, expected one of cpu" in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_minutes_end_a_training_and_its_learning_rates(folder):
    out = folder / "out"
    words = ["--no-compile", "--n-steps", "100000", "--minutes", "0.03", "--out", str(out)]
    assert main(["train", str(folder / "recipe.toml"), *words]) == 0
    with (out / "curve.csv").open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file)]
    assert 1 <= steps[-1] < 10000
    assert (out / "model.pt").is_file()


def test_distillation_on_a_gpu_is_refused(folder, capsys):
    checkpoint = folder / "checkpoint.pt"
    checkpoint.touch()
    words = ["--stage", "distil", "--init", str(checkpoint), "--device", "cuda"]
    assert main(["train", str(folder / "recipe.toml"), *words, "--out", str(folder / "out")]) == 2
    assert "distil runs on the CPU" in capsys.readouterr().err


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (2, 1), (4, 3), (64, 8)])
def test_batches_are_made_on_the_cores_of_the_job(monkeypatch, cores, workers):
    """Not on all of a node that others use too."""
    monkeypatch.setattr(fit.os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert fit._workers() == workers

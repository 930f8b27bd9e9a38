"""Training: batches, loss terms, compiled against eager, stages, the exported model."""

from __future__ import annotations

import csv
import json
import lzma
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from torch._dynamo.exc import TorchDynamoException

from ncforce_ipi import load
from ncforce_ipi.backend import Structure, Wanted
from ncforce_ipi.cli import main
from ncforce_ipi.drivers import metatomic
from ncforce_ipi.errors import InputError, ModelError
from ncforce_ipi.training import fit
from ncforce_ipi.training.dataset import Packer, Sampler, energy_shifts, read_frames
from ncforce_ipi.training.hybrid import HybridNet
from ncforce_ipi.training.objective import TERMS, BothHeads, make_step, predict, terms
from ncforce_ipi.training.recipe import (
    Recipe,
    data_files,
    load_pools,
    read_initial,
    read_recipe,
    save,
)

from .conftest import CUTOFF_A, RECIPE, labelled_water


@pytest.fixture
def net():
    torch.manual_seed(1)
    return HybridNet([1, 8], CUTOFF_A, channels=8, layers=2, head_channels=8, n_radial=8)


def packer(net, frames, n_graphs=2, spare_atoms=0):
    shifts = energy_shifts(frames, [1, 8])
    n_atoms = n_graphs * len(frames[0]) + spare_atoms
    n_pairs = n_graphs * max(len(f.first) for f in frames) + 40
    return Packer(n_graphs, n_atoms, n_pairs, CUTOFF_A, shifts, net.species_index)


def test_padding_changes_nothing(net, frames):
    exact = packer(net, frames[:2]).pack(frames[:2])
    padded = packer(net, frames[:2], n_graphs=3, spare_atoms=7).pack(frames[:2])
    weights = dict(BothHeads(net).named_parameters())
    a = terms(BothHeads(net), weights, exact, "scratch")
    b = terms(BothHeads(net), weights, padded, "scratch")
    # the shifts are fitted to the same frames; what is left is the order of single-precision sums
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


def test_a_batch_of_two_is_the_two_alone(net, frames):
    both = predict(net, packer(net, frames[:2]).pack(frames[:2]))
    alone = [predict(net, packer(net, frames[:2], n_graphs=1).pack([f])) for f in frames[:2]]
    n = len(frames[0])
    for kind in ("conservative", "direct"):
        found = getattr(both, kind)
        for k, single in enumerate(alone):
            torch.testing.assert_close(
                found[k * n : (k + 1) * n], getattr(single, kind), rtol=1e-5, atol=1e-6
            )


@pytest.mark.timeout(1200)  # the C++ compiler takes a minute, and many on a busy machine
def test_compiled_step_is_the_eager_step(frames, tmp_path, monkeypatch):
    # its own: a compilation that was killed leaves a broken library in the cache of all
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch.manual_seed(1)
    net = HybridNet([1, 8], CUTOFF_A, channels=4, layers=1, head_channels=4, n_radial=4)
    pack = packer(net, frames)
    values = [p.detach() for p in BothHeads(net).parameters()]
    batch, weights = pack.pack(frames[:2]), torch.ones(len(TERMS))
    example = pack.pack(frames[2:])
    eager = make_step(net, "scratch", example, compiled=False)(values, batch, weights)
    fast = make_step(net, "scratch", example, compiled=True)(values, batch, weights)
    torch.testing.assert_close(fast[1], eager[1], rtol=1e-5, atol=0)
    for a, b in zip(fast[0], eager[0], strict=True):
        # single precision; gradients that cancel are compared with the largest of their tensor
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5 * float(b.abs().max() + 1e-3))


def test_direct_stage_leaves_the_energy_head_alone(net, frames):
    step = make_step(net, "direct", packer(net, frames).pack(frames[:2]), compiled=False)
    values = [p.detach() for p in BothHeads(net).parameters()]
    gradients, _, found = step(values, packer(net, frames).pack(frames[:2]), torch.ones(len(TERMS)))
    by_name = dict(zip([n for n, _ in BothHeads(net).named_parameters()], gradients, strict=True))
    assert all(float(g.abs().max()) == 0 for n, g in by_name.items() if ".energy." in n)
    assert float(by_name["net.direct.out.weight"].abs().max()) > 0
    assert found[TERMS.index("conservative")] == 0


def test_sampler_is_seeded_and_never_over_budget(net, frames):
    pack = packer(net, frames)
    first = [Sampler([(frames, 1.0)], pack, 7).draw().vectors for _ in range(2)]
    torch.testing.assert_close(first[0], first[1], rtol=0, atol=0)
    batch = Sampler([(frames, 1.0)], pack, 8).draw()
    assert batch.types.shape == (pack.n_atoms,)
    assert batch.first.shape == (pack.n_pairs,)


@pytest.mark.parametrize(
    "words", ["", "tensor_channels = 4", "tensor_channels = 4\ncoupled = true"]
)
def test_direct_then_finetune_gives_a_model_that_says_what_the_network_says(folder, words):
    recipe, direct, tuned = folder / "recipe.toml", folder / "direct", folder / "tuned"
    recipe.write_text(f"{words}\n{recipe.read_text()}")
    common = ["train", str(recipe), "--no-compile"]
    assert main([*common, "--stage", "direct", "--out", str(direct)]) == 0
    start = str(direct / "checkpoint.pt")
    assert main([*common, "--stage", "finetune", "--init", start, "--out", str(tuned)]) == 0
    with (tuned / "curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["3", "6"]
    assert len(json.loads((tuned / "training.json").read_text())["data_sha256"]) == 64

    backend = metatomic.open_model(tuned / "model.pt", device="cpu")
    atoms = labelled_water(4)
    structure = Structure(atoms.numbers, atoms.positions, atoms.cell.array)
    wanted = Wanted(frozenset({"conservative", "direct"}), direct_virial=True)
    found = backend.evaluate(structure, wanted)
    saved = torch.load(tuned / "checkpoint.pt", weights_only=True)
    net = Recipe(**saved["recipe"]).network()
    net.load_state_dict(saved["weights"])
    from ncforce_ipi.training.dataset import to_frame

    frame = to_frame(atoms, CUTOFF_A)
    pack = Packer(1, len(frame), len(frame.first), CUTOFF_A, net.energy_shift, net.species_index)
    expected = predict(net, pack.pack([frame]))
    # single precision, forces of order 0.1 eV/A
    for kind in ("conservative", "direct"):
        np.testing.assert_allclose(
            found[kind].forces, getattr(expected, kind).numpy(), rtol=0, atol=1e-5
        )
    shift = float(net.energy_shift[net.species_index[frame.types]].sum())
    assert found["conservative"].energy == pytest.approx(
        float(expected.energies[0]) + shift, abs=1e-5
    )


def of_another_zero(seed, hydrogen_eV, oxygen_eV):
    """-4 eV for each atom of water, and these; every second frame has an O in the place of an H."""
    atoms = labelled_water(seed)
    forces = atoms.get_forces()
    atoms.calc = None
    atoms.numbers[1] = 8 if seed % 2 else 1
    energy = -4.0 * len(atoms) + np.where(atoms.numbers == 8, oxygen_eV, hydrogen_eV).sum()
    atoms.calc = SinglePointCalculator(atoms, energy=float(energy), forces=forces)
    return atoms


def test_finetuning_on_energies_of_another_zero(folder, capsys):
    """As those of another method have: 100 eV more for each hydrogen, 50 eV less for an oxygen."""
    (folder / "recipe.toml").write_text(RECIPE.replace("train:md", "train"))
    errors, words = [], []
    for name, zero in (("first", (0.0, 0.0)), ("second", (100.0, -50.0))):
        assert "element by element" not in capsys.readouterr().err
        for stem, seeds in (("train", range(8)), ("val", range(8, 12))):
            frames = [of_another_zero(seed, *zero) for seed in seeds]
            write(folder / f"{stem}.extxyz", frames, format="extxyz")
        out = folder / name
        command = ["train", str(folder / "recipe.toml"), "--no-compile", *words]
        assert main([*command, "--out", str(out)]) == 0
        with (out / "curve.csv").open() as file:
            errors += [float(row["val_energy_meV_per_atom"]) for row in csv.DictReader(file)]
        words = ["--stage", "finetune", "--init", str(out / "checkpoint.pt")]
    assert max(errors) < 100.0  # 46000 with the zero of the first
    said = "the energies are +46.88 eV/atom from what the network has learnt before: it is shifted"
    assert said in capsys.readouterr().err  # (15.5 x 100 - 8.5 x 50) / 24 on average


def test_a_pool_of_weight_zero_leaves_no_trace(folder):
    """One of another method, 4 eV/atom away; counted, its zero would move all energies by 2."""
    for stem, seeds, zero in (
        ("train", range(4), -1.0),
        ("val", range(4, 6), -1.0),
        ("other", range(6, 10), -5.0),
    ):
        frames = [of_another_zero(seed, zero, zero) for seed in seeds]
        write(folder / f"{stem}.extxyz", frames, format="extxyz")
    text = RECIPE.replace('"train:md" = 1.0', "train = 1.0")
    pools = {"without": "train = 1.0", "with": "train = 1.0\nother = 0.0"}
    energies = []
    for name, words in pools.items():
        (folder / "recipe.toml").write_text(text.replace("train = 1.0", words))
        out = folder / name
        assert main(["train", str(folder / "recipe.toml"), "--no-compile", "--out", str(out)]) == 0
        with load(str(out / "model.pt")) as model:
            atoms = labelled_water(4)
            energies.append(model.evaluate(atoms).energy / len(atoms))
    assert energies[0] == energies[1]
    assert energies[0] == pytest.approx(-5.0, abs=0.2)  # 4 + 1; hardly trained


def test_an_element_of_a_pool_of_weight_zero_alone_is_not_known(folder, capsys):
    atoms = labelled_water(9)
    labels = dict(atoms.calc.results)
    atoms.numbers[0] = 6
    atoms.calc = SinglePointCalculator(atoms, **labels)
    write(folder / "other.extxyz", atoms, format="extxyz")
    text = RECIPE.replace('"train:md" = 1.0', '"train:md" = 1.0\nother = 0.0')
    (folder / "recipe.toml").write_text(text.replace("[1, 8]", "[1, 6, 8]"))
    words = ["train", str(folder / "recipe.toml"), "--no-compile", "--out", str(folder / "new")]
    assert main(words) == 2
    assert "species have C, which no training frame has" in capsys.readouterr().err


@pytest.mark.parametrize("ending", [".extxyz", ".xyz.xz", ".xyz"])
def test_data_files_have_one_of_these_endings(folder, ending):
    """Alone it is read, whatever it is called."""
    recipe = read_recipe(folder / "recipe.toml")
    frames = [labelled_water(seed) for seed in range(7, 10)]
    write(folder / "train.xyz", frames, format="extxyz")
    if ending == ".xyz.xz":
        (folder / "train.xyz.xz").write_bytes(lzma.compress((folder / "train.xyz").read_bytes()))
        (folder / "train.xyz").unlink()
    else:
        (folder / "train.xyz.xz").unlink()
        (folder / "train.xyz").rename(folder / f"train{ending}")
    assert data_files(recipe, folder) == [folder / f"train{ending}", folder / "val.xyz.xz"]
    assert len(load_pools(recipe, folder)[0][0]) == 3


@pytest.mark.parametrize(
    ("more", "read", "beside"),
    [
        ([".extxyz"], ".extxyz", "train.xyz.xz"),
        ([".xyz"], ".xyz.xz", "train.xyz"),
        ([".xyz", ".extxyz"], ".extxyz", "train.xyz.xz and train.xyz"),
        ([], ".xyz.xz", None),
    ],
)
def test_which_of_two_files_is_read_is_said(folder, caplog, more, read, beside):
    recipe = read_recipe(folder / "recipe.toml")  # beside train.xyz.xz, of four frames
    for ending in more:
        frames = [labelled_water(seed) for seed in range(3)]
        write(folder / f"train{ending}", frames, format="extxyz")
    assert data_files(recipe, folder)[0] == folder / f"train{read}"
    said = f"{folder / 'train'}{read} is read, and {beside} beside it isn't"
    assert [record.message for record in caplog.records] == ([said] if beside else [])
    assert len(load_pools(recipe, folder)[0][0]) == (4 if read == ".xyz.xz" else 3)


def test_distillation_moves_the_direct_head_towards_the_conservative_force(folder):
    recipe, start, end = folder / "recipe.toml", folder / "start", folder / "end"
    assert main(["train", str(recipe), "--no-compile", "--out", str(start)]) == 0
    checkpoint = str(start / "checkpoint.pt")
    words = ["--stage", "distil", "--init", checkpoint, "--n-steps", "60", "--out", str(end)]
    assert main(["train", str(recipe), *words]) == 0
    weights = [torch.load(d / "checkpoint.pt", weights_only=True)["weights"] for d in (start, end)]
    changed = {k for k in weights[0] if not torch.equal(weights[0][k], weights[1][k])}
    assert changed
    assert all(name.startswith("direct.") for name in changed)
    with (end / "curve.csv").open() as file:
        difference = [float(row["val_difference_meV_per_A"]) for row in csv.DictReader(file)]
    assert difference[-1] < 0.9 * difference[0]


def test_distillation_weighs_stress_from_the_start_to_the_end(folder):
    """``stress = [0, 1]`` isn't no weight, and ``[1, 1]`` is one from the first step on."""
    words = ["train", str(folder / "recipe.toml"), "--no-compile"]
    assert main([*words, "--out", str(folder / "start")]) == 0
    words += ["--stage", "distil", "--init", str(folder / "start" / "checkpoint.pt")]
    found = {}
    for weights in ("[0.0, 0.0]", "[0.0, 1e3]", "[1e3, 1e3]"):
        (folder / "recipe.toml").write_text(RECIPE + f"stress = {weights}\n")
        assert main([*words, "--out", str(folder / weights)]) == 0
        with (folder / weights / "curve.csv").open() as file:
            found[weights] = [row["val_difference_meV_per_A"] for row in csv.DictReader(file)]
    none, rising, same = found.values()
    assert rising != none
    assert rising != same


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--stage", "finetune", "--out", "new"], "add --init checkpoint.pt"),
        (["--out", "."], "add --force"),
        (["--out", "new", "--data", "nowhere"], "not found"),
        (["--out", "new", "--minutes", "0"], "--minutes: expected a positive number"),
        (["--out", "new", "--minutes", "nan"], "--minutes: expected a positive number"),
        (["--out", "new", "--n-steps", "-1"], "n_steps must be 1 or more, got -1"),
        (["--out", "new", "--seed", "-1"], "must not be negative"),
        (["--out", "new", "--threads", "0"], "--threads: expected 1 or more"),
        (["--out", "new", "--init", "recipe.toml"], "with --init give finetune"),
        (
            ["--out", "new", "--stage", "finetune", "--init", "recipe.toml"],
            "recipe.toml isn't a checkpoint.pt of ncforce train",
        ),
    ],
)
def test_bad_input_is_one_line(folder, monkeypatch, capsys, words, line):
    monkeypatch.chdir(folder)
    assert main(["train", "recipe.toml", "--no-compile", *words]) == 2
    error = capsys.readouterr().err.strip()
    assert line in error.splitlines()[-1]
    assert not (folder / "new").exists()


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("conservative =", "conservativ =", "no term 'conservativ'; there are energy, conserv"),
        ("energy = [1.0, 1.0]", "energy = 1.0", "energy = 1.0; give [at the start, at the end]"),
        ("energy = [1.0, 1.0]", "energy = [1.0, -1.0]", "give [at the start, at the end]"),
        ("validate_every = 3", "validate_every = 0", "validate_every must be 1 or more"),
        ("atoms_per_batch = 48", "atoms_per_batch = 20", "has 24 atoms and a batch 20; give atoms"),
        ("species = [1, 8]", "species = [1, 6]", "frame 0: no O in the recipe's species"),
        ("species = [1, 8]", "species = [1, 6, 8]", "species have C, which no training frame has"),
        ("[1.0, 1.0]", "[0.0, 0.0]", "give one of them a weight"),
        (
            '"train:md" = 1.0',
            '"train:md" = -1.0',
            "pools: expected weights of 0 or more, one above 0",
        ),
        (
            '"train:md" = 1.0',
            '"train:md" = 0.0',
            "pools: expected weights of 0 or more, one above 0",
        ),
        ("channels = 8", "channels = 0", "channels must be 1 or more"),
        ("species = [1, 8]", "species = [1, 1, 8]", "expected atomic numbers, each once, like"),
        ("species = [1, 8]", 'species = ["H", "O"]', "expected atomic numbers, each once, like"),
    ],
)
def test_a_recipe_that_cannot_train_is_one_line(folder, capsys, old, new, line):
    recipe = folder / "recipe.toml"
    assert old in RECIPE
    recipe.write_text(RECIPE.replace(old, new).replace("[0.0, 1.0]", "[0.0, 0.0]"))
    assert main(["train", str(recipe), "--no-compile", "--out", str(folder / "new")]) == 2
    assert line in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (folder / "new").exists()


def test_labels_that_are_missing_are_named(folder):
    atoms = labelled_water(0)
    labels = {"energy": 1.0, "forces": atoms.get_forces()}
    atoms.calc = SinglePointCalculator(atoms, **labels)
    write(folder / "bare.xyz", atoms)
    with pytest.raises(InputError, match=r"bare.xyz, frame 0: needs energy, forces and stress"):
        read_frames(folder / "bare.xyz", CUTOFF_A, [1, 8])
    (frame,) = read_frames(folder / "bare.xyz", CUTOFF_A, [1, 8], needs_stress=False)
    assert not frame.strain_gradient.any()
    assert frame.energy == 1.0
    atoms.calc = None
    write(folder / "bare.xyz", atoms)
    with pytest.raises(InputError, match=r"bare.xyz, frame 0: needs energy and forces"):
        read_frames(folder / "bare.xyz", CUTOFF_A, [1, 8], needs_stress=False)


def test_weights_that_are_not_finite_never_replace_a_checkpoint(net, tmp_path):
    recipe = Recipe([1, 8], {"train": 1.0}, "val")
    save(tmp_path, net, recipe, "scratch")
    before = (tmp_path / "checkpoint.pt").read_bytes()
    with torch.no_grad():
        next(net.parameters()).view(-1)[0] = float("nan")
    with pytest.raises(ModelError, match="no longer finite; lower the learning rates"):
        save(tmp_path, net, recipe, "scratch")
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_a_checkpoint_of_another_network_is_refused(folder, net):
    recipe = read_recipe(folder / "recipe.toml")
    save(folder, net, recipe, "scratch")
    assert read_initial(recipe, folder / "checkpoint.pt") is not None
    with pytest.raises(InputError, match=r"of another size: size mismatch for .*"):
        read_initial(replace(recipe, channels=16), folder / "checkpoint.pt")
    with pytest.raises(InputError, match=r"has species \[1, 8\], the recipe \[6, 8\]"):
        read_initial(replace(recipe, species=[6, 8]), folder / "checkpoint.pt")
    with pytest.raises(InputError, match=r"has cutoff_A 4.5, the recipe 5.0"):
        read_initial(replace(recipe, cutoff_A=5.0), folder / "checkpoint.pt")


def test_force_removes_what_the_earlier_training_left_once_it_begins(folder, capsys):
    recipe, out = folder / "recipe.toml", folder / "out"
    words = ["train", str(recipe), "--no-compile", "--out", str(out)]
    assert main(words) == 0
    kept = {file.name: file.read_bytes() for file in out.iterdir()}
    assert set(kept) == {"checkpoint.pt", "curve.csv", "model.pt", "training.json"}
    recipe.write_text(RECIPE.replace("species = [1, 8]", "species = [1]"))
    assert main([*words, "--force"]) == 2
    assert {file.name: file.read_bytes() for file in out.iterdir()} == kept
    recipe.write_text("warmup_steps = 0\n" + RECIPE)
    assert main([*words, "--force", "--stage", "direct"]) == 0
    assert {file.name for file in out.iterdir()} == {"checkpoint.pt", "curve.csv", "training.json"}
    assert len((out / "curve.csv").read_text().splitlines()) == 3


def test_a_step_that_does_not_compile_is_one_line(folder, capsys, monkeypatch):
    def refuse(*_, **__):
        raise TorchDynamoException("no C++ compiler\nmany lines")

    monkeypatch.setattr(fit, "make_step", refuse)
    words = ["train", str(folder / "recipe.toml"), "--out", str(folder / "new")]
    assert main(words) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "doesn't compile here (no C++ compiler); add --no-compile" in error
    assert not (folder / "new").exists()


def test_unknown_key_in_a_recipe_is_named(folder, capsys):
    recipe = folder / "recipe.toml"
    recipe.write_text("chanels = 3\n" + RECIPE)
    assert main(["train", str(recipe), "--out", str(folder / "new")]) == 2
    assert "chanels" in capsys.readouterr().err


def test_coupled_layers_without_tensors_are_refused(folder, capsys):
    recipe = folder / "recipe.toml"
    recipe.write_text("coupled = true\n" + RECIPE)
    assert main(["train", str(recipe), "--no-compile", "--out", str(folder / "new")]) == 2
    assert "add e.g. tensor_channels = 32" in capsys.readouterr().err
    assert not (folder / "new").exists()

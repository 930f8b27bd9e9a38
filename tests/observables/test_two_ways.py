"""One diffusion coefficient, from displacements and from velocities, of what relaxes slowly."""

import json

import numpy as np

from ncforce_ipi.cli import main
from tests.synthetic_run import write_frame

SPECIES = np.array(["Ar"] * 27)
FRAME_FS, N_FRAMES, FORGETS_FS, CAGE_PS = 20.0, 3000, 60.0, 1.0
D_A2_PER_PS = 0.5


def smooth(diffusion_A2_per_ps, rng):
    """Velocities ``(n_frames, n_atoms, 3)``, A/fs, that are forgotten within a few frames."""
    keep = np.exp(-FRAME_FS / FORGETS_FS)
    found = np.empty((N_FRAMES, len(SPECIES), 3))
    found[0] = rng.normal(size=found.shape[1:])
    for k in range(1, N_FRAMES):
        found[k] = keep * found[k - 1] + np.sqrt(1 - keep**2) * rng.normal(size=found.shape[1:])
    sigma = np.sqrt(1e-3 * diffusion_A2_per_ps / (FRAME_FS * (0.5 + keep / (1 - keep))))
    return sigma * found


def test_a_cage_that_opens_slowly(tmp_path, capsys):
    """Free motion, and as much again in a cage of 1 ps, of which a memory of 1 ps sees half."""
    rng = np.random.default_rng(7)
    places = FRAME_FS * smooth(D_A2_PER_PS, rng).cumsum(axis=0)
    inside = np.zeros((N_FRAMES, len(SPECIES), 3))
    kicks = FRAME_FS * smooth(D_A2_PER_PS, rng)
    for k in range(1, N_FRAMES):
        inside[k] = np.exp(-1e-3 * FRAME_FS / CAGE_PS) * inside[k - 1] + kicks[k]
    places += inside
    velocities = (places[2:] - places[:-2]) / (2 * FRAME_FS)
    paths = [tmp_path / "x.pos_0.extxyz", tmp_path / "x.vel_0.xyz"]
    with paths[0].open("w") as pos, paths[1].open("w") as vel:
        for step, (x, v) in enumerate(zip(places[1:-1], velocities, strict=True)):
            write_frame(pos, SPECIES, x, "ase", "positions", step, np.eye(3) * 12.0)
            write_frame(vel, SPECIES, v, "xyz", "velocities", step)
    words = ["diffusion", *map(str, paths), "--timestep-fs", str(FRAME_FS), "--free-com"]
    words += ["--masses-u", "Ar=39.95", "--from-ps", "2", "--json", str(tmp_path / "d.json")]
    found = {}
    for memory in ("1", "4"):
        assert main([*words, "--force", "--memory-ps", memory]) == 0
        found[memory] = json.loads((tmp_path / "d.json").read_text())
    said = capsys.readouterr().out
    assert "none from velocities for Ar: " in said
    assert "of the errors of both away from D from displacements at longer lags" in said
    assert "remember for longer than 1 ps" in said
    assert "diffusion_Ar_green_kubo_A2_per_ps" not in found["1"]
    for way in ("einstein", "green_kubo"):
        name = f"diffusion_Ar_{way}"
        error = found["4"][f"{name}_standard_error_A2_per_ps"]
        assert error < 0.15 * D_A2_PER_PS
        # what is left of the cage after 2 ps, and three errors
        assert abs(found["4"][f"{name}_A2_per_ps"] - D_A2_PER_PS) < 0.07 + 3 * error

"""Who says how many degrees of freedom a properties file has: columns, checkpoint, nobody."""

import json

import numpy as np
import pytest

from ncforce_ipi.cli import main

BOLTZMANN_EV_PER_K = 8.617333262e-5
N_ATOMS, KELVIN = 6, 300.0


def table(path, held, *, with_temperature):
    """As i-PI writes it with so many degrees of freedom held, at 300 K on average."""
    rng = np.random.default_rng(0)
    names = ["step", "time{picosecond}", "kinetic_md{electronvolt}", "temperature{kelvin}"]
    names = names if with_temperature else names[:3]
    lines = [f"# column {k} --> {name} : x" for k, name in enumerate(names, start=1)]
    free = 3 * N_ATOMS
    for step in range(400):
        kinetic_eV = 0.5 * BOLTZMANN_EV_PER_K * KELVIN * rng.chisquare(free - held)
        theirs_K = (2 * kinetic_eV / BOLTZMANN_EV_PER_K + held * KELVIN) / free
        row = [step, 0.004 * step, kinetic_eV, theirs_K][: len(names)]
        lines.append(" ".join(f"{number:16.8e}" for number in row))
    path.write_text("\n".join(lines) + "\n")
    return path


def checkpoint(folder, motion):
    masses = ", ".join(["29164.4", "1837.47", "1837.47"] * 2)
    names = ", ".join(["O", "H", "H"] * 2)
    (folder / "RESTART").write_text(
        "<simulation><system>"
        f"<beads natoms='6' nbeads='1'><m shape='(6)'> [ {masses} ] </m>"
        f"<names shape='(6)'> [ {names} ] </names></beads>"
        "<ensemble><temperature> 9.50045070e-04 </temperature></ensemble>"
        f"{motion}</system></simulation>\n"
    )


def drift(path, tmp_path, *words):
    target = tmp_path / "drift.json"
    words = ["drift", str(path), "--json", str(target), "--force", *words]
    assert main(words) == 0
    (run,) = json.loads(target.read_text())["runs"]
    return run


@pytest.mark.parametrize("held", [0, 3, 6, 9, 7])
def test_both_columns_tell(tmp_path, capsys, held):
    path = table(tmp_path / "x.out", held, with_temperature=True)
    run = drift(path, tmp_path, "--atoms", "6", "--temperature-K", "300")
    assert run["degrees_of_freedom"] == 18 - held
    # 375 rows of 9 to 18 degrees of freedom: 4 sqrt(2 / 9 / 375)
    assert run["temperature_K"] == pytest.approx(KELVIN, rel=0.1)
    assert f"{18 - held}, as kinetic_md and temperature in x.out show" in capsys.readouterr().out


N_BEADS = 4


def table_of_beads(path, columns, held=3):
    """As i-PI writes it: kinetic_md is of a bead, temperature of the system."""
    rng = np.random.default_rng(2)
    head = ["step", "time{picosecond}"]
    units = {"k": "electronvolt", "t": "kelvin"}
    head += [name.replace("(", f"{{{units[name[0]]}}}(", 1) if "(" in name else
             f"{name}{{{units[name[0]]}}}" for name in columns]  # fmt: skip
    lines = [f"# column {k} --> {name} : x" for k, name in enumerate(head, start=1)]
    free = 3 * N_ATOMS * N_BEADS
    for step in range(400):
        kinetic_eV = 0.5 * BOLTZMANN_EV_PER_K * KELVIN * rng.chisquare(free - held)
        theirs_K = (2 * kinetic_eV / BOLTZMANN_EV_PER_K + held * KELVIN) / free
        row = [step, 0.004 * step]
        row += [kinetic_eV if name[0] == "k" else theirs_K for name in columns]
        lines.append(" ".join(f"{number:16.8e}" for number in row))
    path.write_text("\n".join(lines) + "\n")


def write_beads(folder, quantity="positions", name="pos", unit="angstrom"):
    for bead in range(N_BEADS):
        cell = "# CELL(abcABC): 9.0 9.0 9.0 90.0 90.0 90.0"
        comment = f"{cell} Step: 0 Bead: {bead} {quantity}{{{unit}}} cell{{angstrom}}"
        rows = "".join(f"O {k} 0.0 0.0\n" for k in range(N_ATOMS))
        (folder / f"x.{name}_{bead}.xyz").write_text(f"{N_ATOMS}\n{comment}\n{rows}")


@pytest.mark.parametrize("held", [3, 12])
@pytest.mark.parametrize(
    ("columns", "files"),
    [
        (["kinetic_md", "temperature"], False),
        ([f"kinetic_md(bead={bead})" for bead in range(N_BEADS)], False),
        (["kinetic_md"], True),
    ],
)
def test_beads_are_known_without_a_checkpoint(tmp_path, capsys, columns, files, held):
    """Else a path integral of 4 beads at 300 K was at 1200 K."""
    table_of_beads(tmp_path / "x.out", columns, held)
    if files:
        write_beads(tmp_path)
    run = drift(tmp_path / "x.out", tmp_path, "--atoms", str(N_ATOMS))
    # 375 rows of 60 to 69 degrees of freedom: 4 sqrt(2 / 60 / 375); those held are unknown here
    assert run["temperature_K"] == pytest.approx(KELVIN * (72 - held) / 69, rel=0.04)
    assert "path integral of 4 beads: T is theirs over 4" in capsys.readouterr().out


def test_the_velocities_of_a_centroid_are_as_hot_as_the_properties(tmp_path):
    table_of_beads(tmp_path / "x.out", ["kinetic_md", "temperature"])
    rng = np.random.default_rng(4)
    thermal = np.sqrt(8314.462618 * KELVIN / 15.999)  # m/s
    velocities = thermal * rng.normal(size=(400, N_ATOMS, 3))
    velocities -= velocities.mean(axis=1, keepdims=True)
    with (tmp_path / "x.vc.xyz").open("w") as file:
        for step, frame in enumerate(velocities):
            cell = "# CELL(abcABC): 9.0 9.0 9.0 90.0 90.0 90.0"
            file.write(
                f"{N_ATOMS}\n{cell} Step: {step} Bead: 0 v_centroid{{m/s}} cell{{angstrom}}\n"
            )
            file.writelines(f"O {x:.5e} {y:.5e} {z:.5e}\n" for x, y, z in frame)
    target = tmp_path / "found.json"
    words = ["temperature", str(tmp_path), "--masses-u", "O=15.999", "--json", str(target)]
    assert main(words) == 0
    assert main(["drift", str(tmp_path), "--json", str(tmp_path / "drift.json")]) == 0
    (run,) = json.loads((tmp_path / "drift.json").read_text())["runs"]
    # 375 frames of 15 degrees of freedom: 4 sqrt(2 / 15 / 375); rows of 69: half of that
    found = json.loads(target.read_text())
    assert found["temperature_O_K"] == pytest.approx(KELVIN, rel=0.08)
    assert run["temperature_K"] == pytest.approx(KELVIN, rel=0.04)


def test_that_nothing_is_held_needs_no_temperature(tmp_path, capsys):
    free = table(tmp_path / "free.out", 0, with_temperature=True)
    assert drift(free, tmp_path, "--atoms", "6")["degrees_of_freedom"] == 18
    other = table(tmp_path / "other.out", 3, with_temperature=True)
    assert drift(other, tmp_path, "--atoms", "6")["degrees_of_freedom"] == 15  # i-PI's default
    assert "in i-PI's default, where the centre of mass is at rest" in capsys.readouterr().out


HELD = "<fixcom> False </fixcom><fixatoms_dof shape='(6)'> [ 0, 1, 2, 3, 4, 5 ] </fixatoms_dof>"
BOND = "<constraint mode='distance'><atoms> [ 0, 1, 0, 2, 3, 4, 3, 5 ] </atoms></constraint>"
ANGLE = "<constraint mode='angle'><atoms> [ 1, 0, 2 ] </atoms></constraint>"


@pytest.mark.parametrize(
    ("motion", "dof"),
    [
        ("<motion mode='dynamics'><dynamics mode='nvt'/></motion>", 15),
        ("<motion mode='dynamics'><fixcom> False </fixcom><dynamics mode='nvt'/></motion>", 18),
        (f"<motion mode='dynamics'>{HELD}<dynamics mode='nvt'/></motion>", 12),
        ("<motion mode='dynamics'><fixatoms> [ 4, 5 ] </fixatoms><dynamics/></motion>", 12),
        (f"<motion mode='multi'><motion>{HELD}<dynamics mode='nvt'/></motion></motion>", 12),
        (f"<motion><constrained_dynamics mode='nvt'>{BOND}{ANGLE}</constrained_dynamics></motion>",
         15 - 5),
        ("<motion><constrained_dynamics mode='nvt'><constraint mode='multi'>"
         f"{BOND}{ANGLE}</constraint></constrained_dynamics></motion>", 15 - 5),
    ],
)  # fmt: skip
def test_checkpoint_tells_where_columns_dont(tmp_path, capsys, motion, dof):
    checkpoint(tmp_path, motion)
    path = table(tmp_path / "x.out", 18 - dof, with_temperature=False)
    run = drift(path, tmp_path)
    assert run["degrees_of_freedom"] == dof
    assert run["temperature_K"] == pytest.approx(KELVIN, rel=0.1)  # as above
    assert f"{dof}, as the checkpoint or run.json says" in capsys.readouterr().out


@pytest.mark.parametrize("speed_m_per_s", [0.0, 500.0])
def test_a_system_that_flies_is_not_hot(tmp_path, capsys, speed_m_per_s):
    """Its properties file, its velocities and its spectrum have the temperature of a still one."""
    rng = np.random.default_rng(5)
    masses_u = np.array([15.999, 1.008, 1.008] * 4)
    thermal = np.sqrt(8314.462618 * KELVIN / masses_u)  # m/s
    velocities = rng.normal(size=(800, 12, 3)) * thermal[:, None]
    velocities -= np.einsum("fac,a->fc", velocities, masses_u / masses_u.sum())[:, None]
    velocities += np.array([speed_m_per_s, 0.0, 0.0])
    kinetic_eV = 0.5 * 1.0364269e-8 * np.einsum("fac,fac,a->f", velocities, velocities, masses_u)
    names = ["step", "time{picosecond}", "kinetic_md{electronvolt}"]
    lines = [f"# column {k} --> {name} : x" for k, name in enumerate(names, start=1)]
    lines += [f"{k:16.8e} {0.002 * k:16.8e} {one:16.8e}" for k, one in enumerate(kinetic_eV)]
    (tmp_path / "md.out").write_text("\n".join(lines) + "\n")
    with (tmp_path / "md.vel_0.xyz").open("w") as file:
        for step, frame in enumerate(velocities):
            cell = "# CELL(abcABC): 9.0 9.0 9.0 90.0 90.0 90.0"
            file.write(f"12\n{cell} Step: {step} Bead: 0 velocities{{m/s}} cell{{angstrom}}\n")
            rows = zip(["O", "H", "H"] * 4, frame, strict=True)
            file.writelines(f"{s} {x:.5e} {y:.5e} {z:.5e}\n" for s, (x, y, z) in rows)
    words = ["--masses-u", "H=1.008,O=15.999"]
    target = tmp_path / "found.json"
    found = {}
    for verb in ("temperature", "vdos"):
        assert main([verb, str(tmp_path), *words, "--json", str(target), "--force"]) == 0
        found |= json.loads(target.read_text())
        printed = capsys.readouterr().out
        assert ("the whole system flies at a constant velocity along x" in printed) == bool(
            speed_m_per_s
        )
    # 750 frames of 33 degrees of freedom: 4 sqrt(2 / 33 / 750)
    close = {"all": 0.036, "H": 0.045, "O": 0.07}
    for name, relative in close.items():
        assert found[f"temperature_{name}_K"] == pytest.approx(KELVIN, rel=relative)
    for name in "HO":
        assert found[f"integral_{name}_K"] == pytest.approx(KELVIN, rel=close[name])
    if speed_m_per_s:
        assert "500 m/s on average), is not counted as heat" in printed

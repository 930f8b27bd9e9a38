"""A tour of the Python API: a model, two runs, their analysis, a page.

    python docs/api_tour.py

It works in a temporary directory and takes about a minute.  In an editor that knows ``# %%`` each
part is a cell of a notebook.
"""

# %% Set-up
import tempfile
from pathlib import Path

import numpy as np
from ase.io import read

import ncforce_ipi as nc
from ncforce_ipi import xml_inputs

scratch = Path(tempfile.mkdtemp(prefix="ncforce-tour-"))
liquid = read(Path(xml_inputs.__file__).with_name("water.xyz"))

# %% A model: energy (eV), forces (eV/A), stress (eV/A^3) of ASE's atoms
water = nc.load("water")
direct = water.evaluate(liquid, kind="direct")
conservative = water.evaluate(liquid, kind="conservative")
difference = direct.forces - conservative.forces
print(f"forces: {1000 * np.sqrt(np.mean(conservative.forces**2)):.0f} meV/A (root mean square)")
print(f"direct - conservative: {1000 * np.sqrt(np.mean(difference**2)):.1f} meV/A")
print(f"energy: {conservative.energy:.3f} eV")

# %% Two short runs from one start: multiple time steps, and direct forces alone
mts = nc.run("water", forces="mts", mts=8, time_ps=0.1, out=scratch / "mts")
fast = nc.run("water", forces="fast", time_ps=0.1, out=scratch / "fast")

# %% A run can be opened again later; so can the output of any other i-PI run
mts = nc.open_run(scratch / "mts")

# %% What was measured.  0.1 ps says little: look at error bars before you look at numbers
drift = mts.drift().conserved
print(f"drift of the conserved quantity: {drift.slope:.3g} +- {drift.ci95:.2g} meV/atom/ps")
print(mts.temperature())

oxygen = mts.rdf()["O", "O"]
print(f"g_OO is highest, {oxygen.g.max():.1f}, at {oxygen.r_A[oxygen.g.argmax()]:.2f} A")

# %% Velocities as arrays
velocities = mts.trajectory("velocities")
print(velocities)

# %% Both runs side by side, and a page for others
print(nc.compare([mts, fast]).table())
mts.report(scratch / "page.html")
print(f"everything is in {scratch}")

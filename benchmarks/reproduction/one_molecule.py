"""A command of ours on one H2O, as a test of a part: OUT/numbers.json as of diagnostics.py.

python -m reproduction.one_molecule OUT NAME VERB WORDS, {} for the structure
"""

import json
import sys
from pathlib import Path

import ase.io
from ase.build import molecule

from reproduction.tasks import must, ncforce

if __name__ == "__main__":
    out, name, verb, *words = sys.argv[1:]
    folder = Path(out)
    start, result = folder / "H2O.xyz", folder / f"{name}.json"
    ase.io.write(start, molecule("H2O"))
    words = [str(start) if word == "{}" else word for word in words]
    if verb == "optimize":
        files, result = ["--out", str(folder / name)], folder / name / "optimize.json"
    else:
        files = ["--json", str(result)]
    must(ncforce(verb, *words, *files, "--force"))
    (folder / "numbers.json").write_text(json.dumps({name: json.loads(result.read_text())}))

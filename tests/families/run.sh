#!/bin/sh
# Sets up an environment for one model family and runs in it the driver contract, the family's own
# tests and a run of i-PI with multiple time steps:
#
#     tests/families/run.sh fairchem|equiformer [DIRECTORY OF THE ENVIRONMENT]
#
# About 2 GB and some minutes for each; what is there already is used again.  PYTHON names the
# interpreter (3.10 to 3.12).  equiformer needs a C++ compiler too, and five minutes for it.
set -eu
family=${1:-}
case $family in
    fairchem | equiformer) ;;
    *) echo "run.sh: family '$family', expected fairchem or equiformer (MACE: make test-families)" >&2; exit 2 ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$(dirname "$here")")
environment=${2:-$root/.venv-$family}
pip="$environment/bin/python -m pip install --quiet"

[ -x "$environment/bin/python" ] || "${PYTHON:-python3}" -m venv "$environment"
if [ "$family" = equiformer ]; then
    # fairchem-core 1.10 asks for torch 2.4 and NumPy 1.  It runs with torch 2.13 too, which is what
    # is tested here.  torch_scatter is compiled against it; torch_sparse, of which fairchem imports
    # a name for GemNet and DimeNet++ alone, is a stand-in.
    $pip torch==2.13.0 "numpy>=1.26,<2" "scipy<1.15" "setuptools<81" ase "e3nn>=0.5" \
        huggingface-hub hydra-core lmdb numba orjson "pydantic>=2.10" pymatgen pyyaml requests \
        submitit tensorboard torch-geometric torchtnt tqdm wandb
    $pip --no-deps fairchem-core==1.10.0
    FORCE_ONLY_CPU=1 $pip --no-build-isolation torch-scatter==2.1.2
    export PYTHONPATH="$here/standins${PYTHONPATH:+:$PYTHONPATH}"
    numpy="numpy<2"
else
    $pip -r "$root/ipi_drivers/requirements/$family.txt"
    numpy=numpy
fi
$pip "$numpy" ipi==3.3.1 pytest pytest-timeout
$pip --no-deps --editable "$root"

cd "$root"
OMP_NUM_THREADS=1 NCFORCE_TEST_FAMILIES=$family "$environment/bin/python" -m pytest -p no:cacheprovider \
    -m "not slurm" tests/drivers/test_contract.py "tests/drivers/test_$family.py" \
    tests/drivers/test_compiled_families.py tests/drivers/test_families_e2e.py

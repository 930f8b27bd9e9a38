#!/usr/bin/env bash
# Retrain the shipped water model, less than an hour on one idle core: OUT/model.pt.
#   bash benchmarks/training/water/retrain.sh OUT
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export OMP_NUM_THREADS=1
ncforce train "$here/recipe.toml" --stage scratch --out "${1:?give a folder for the results}"

#!/usr/bin/env bash
# Retrain the shipped water model: about 45 minutes on one idle core.  The model is OUT/polish/model.pt.
#   bash benchmarks/training/water/retrain.sh OUT
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?give a folder for the results}
export OMP_NUM_THREADS=1
ncforce train "$here/recipe.toml" --stage scratch --out "$out/scratch"
ncforce train "$here/polish.toml" --stage finetune --init "$out/scratch/checkpoint.pt" --out "$out/polish"

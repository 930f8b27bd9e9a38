#!/usr/bin/env bash
# Remake the data: the teacher's frames, a first student, and one round where that student goes.
#   bash benchmarks/training/molecules/data.sh PYTHON
# PYTHON has this package, its training dependencies and sevenn (make .venv-families/.test).
set -euo pipefail
python=${1:?give a python}
here=$(cd "$(dirname "$0")" && pwd)
export OMP_NUM_THREADS=1
made=$(mktemp -d)
teacher="--family sevennet --model 7net-0"
label() { $python "$here/../label.py" "$1" --max-force 50 --out "$here/$2.xyz.xz"; }

$python "$here/../sample.py" "$here/held_out.toml" $teacher --seed 1 --out "$made/val.xyz"
label "$made/val.xyz" val
$python "$here/../sample.py" "$here/start.toml" $teacher --out "$made/train.xyz"
label "$made/train.xyz" train

# one round: a first student, and labels for where it goes
sed -e '/"round2/d' "$here/recipe.toml" > "$made/first.toml"
$python -m ncforce_ipi train "$made/first.toml" --data "$here" --n-steps 3000 --out "$made/first"
$python "$here/../sample.py" "$here/rounds.toml" --model "$made/first/model.pt" --seed 3 --out "$made/round2.xyz"
label "$made/round2.xyz" round2

#!/usr/bin/env bash
# Collect what a machine with torch but without network lacks, as wheels in the folder .wheels, which
# git ignores and gpu.sh installs from:
#   bash benchmarks/gpu_wheels.sh [--python 3.12] [MORE==VERSION ...]
# Versions are those of constraints.txt; torch and what comes with every torch (numpy, scipy,
# matplotlib) are taken to be there: name them to carry them too.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
python=3.12
if [ "${1:-}" = --python ]; then
    python=$2
    shift 2
fi
names=(ase ipi ctypes-dlpack metatensor-core metatensor-operations metatensor-torch metatomic-ase
    metatomic-torch vesin wigners rich markdown-it-py mdurl Pygments emcee pytest pytest-timeout pluggy
    iniconfig packaging typing_extensions)
pinned=()
for name in "${names[@]}"; do
    line=$(grep -i "^$name==" "$root/constraints.txt" || true)
    pinned+=("${line:-$name}")
done
platforms=()
for tag in manylinux_2_28 manylinux_2_27 manylinux_2_24 manylinux_2_17 manylinux2014 manylinux1; do
    platforms+=(--platform "${tag}_x86_64")
done
PYTHON=${PYTHON:-python3}
rm -rf "$root/.wheels"
"$PYTHON" -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: \
    --implementation cp --python-version "$python" "${platforms[@]}" -d "$root/.wheels" \
    "${pinned[@]}" "$@"
# of ours only what says its version and entry points: gpu.sh copies the rest from the tree
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
"$PYTHON" -m pip wheel -q --disable-pip-version-check --no-deps -w "$built" "$root"
(cd "$root/.wheels" && "$PYTHON" -m zipfile -e "$built"/ncforce_ipi-*.whl "$built/all" &&
    cp -r "$built"/all/ncforce_ipi-*.dist-info .)
du -sh "$root/.wheels"

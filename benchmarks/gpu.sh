#!/usr/bin/env bash
# Everything that needs a GPU, most important first, in parts that are bounded and can be continued:
#   bash benchmarks/gpu.sh OUT [--parts a,b] [--minutes N] [--small] [--device cuda|cpu]
# On a bare machine without network it installs ncforce_ipi and what gpu_wheels.sh collected in .wheels
# into a folder of /tmp; torch must be there.  PYTHON chooses the interpreter.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} PYTHONUNBUFFERED=1
if [ -z "${PYTHON:-}" ]; then
    PYTHON=python3
    if [ -x "$root/.venv/bin/python" ] && "$root/.venv/bin/python" -c "" 2>/dev/null; then
        PYTHON=$root/.venv/bin/python
    fi
fi

if ! "$PYTHON" -c "import ncforce_ipi, ipi, ase, vesin, metatomic.torch" 2>/dev/null; then
    site=${NCFORCE_GPU_SITE:-${TMPDIR:-/tmp}/ncforce_gpu_site.$(id -u)}
    export PYTHONPATH=$site${PYTHONPATH:+:$PYTHONPATH} PATH=$site/bin:$PATH
    if ! "$PYTHON" -c "import ipi, ase, vesin, metatomic.torch" 2>/dev/null; then
        if ! ls "$root"/.wheels/*.whl >/dev/null 2>&1; then
            echo "gpu.sh: $PYTHON lacks ncforce_ipi or its libraries and there are no wheels in" \
                "$root/.wheels: make them with benchmarks/gpu_wheels.sh where there is a network" >&2
            exit 1
        fi
        mkdir -p -m 700 "$site" && [ -O "$site" ] # it is imported from
        offline=(-m pip install -q --no-index --no-deps --no-compile --no-cache-dir
            --disable-pip-version-check --no-warn-script-location --upgrade --target "$site")
        "$PYTHON" "${offline[@]}" "$root"/.wheels/*.whl
    fi
    # ours from these files, each time: they may have changed since the last call
    mkdir -p "$site"/ncforce_ipi/{drivers,xml_inputs}
    cp -r "$root"/src/ncforce_ipi/. "$site/ncforce_ipi/"
    cp -r "$root"/ipi_drivers/. "$site/ncforce_ipi/drivers/"
    cp -r "$root"/xml_inputs/. "$site/ncforce_ipi/xml_inputs/"
    cp -r "$root"/.wheels/ncforce_ipi*.dist-info "$site/"
fi
exec "$PYTHON" "$root/benchmarks/gpu.py" "$@"

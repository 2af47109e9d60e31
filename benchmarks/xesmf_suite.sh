#!/usr/bin/env bash
# Run xESMF's own tests on narcf_geo's stand-in for ESMPy.
#
#   benchmarks/xesmf_suite.sh [VENV] [pytest arguments]
#
# VENV (default: a temporary folder) becomes an environment of its own, made by plain pip with the
# xarray that xESMF's test modules need; one that exists is used again. Exit code: pytest's.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${1:-$(mktemp -d)/venv}
shift || true

if [[ ! -x $venv/bin/pytest ]]; then
  "${PYTHON:-python3.11}" -m venv "$venv"
  "$venv/bin/pip" install --quiet 'xesmf==0.9.2' 'xarray==2025.11.*' \
    cftime dask distributed netcdf4 numba pyproj pytest scipy
fi
"$venv/bin/pip" install --quiet --no-deps "$repository"

work=$(mktemp -d)
cd "$work"
"$venv/bin/python" -c 'import narcf_geo.regridding, xesmf'
"$venv/bin/python" -m pytest --pyargs xesmf -p narcf_geo.regridding -q -rfEs "$@"

"""Error of second-order conservative regridding, 2.5 to 0.5 degree, beside CDO's where it is.

Usage: python benchmarks/second_order.py
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.special import sph_harm_y

from narcf_geo.grid import Grid
from narcf_geo.regridding import regrid

SOURCE = Grid.regular(-180, -90, 180, 90, 2.5)
TARGET = Grid.regular(-180, -90, 180, 90, 0.5)
FIELDS = {
    "degree 2, order 2": (2, 2),
    "degree 6, order 3": (6, 3),
    "degree 10, order 4": (10, 4),
}


def means(function: Callable[[np.ndarray, np.ndarray], np.ndarray], grid: Grid) -> np.ndarray:
    """Return cell means by Gauss-Legendre points in longitude and sine of latitude."""
    place, weight = np.polynomial.legendre.leggauss(8)
    points = [
        (edges[1:] + edges[:-1])[:, None] / 2 + np.diff(edges)[:, None] / 2 * place
        for edges in (np.radians(grid.lon_b), np.sin(np.radians(grid.lat_b)))
    ]
    values = function(points[0], np.arcsin(points[1])[:, :, None, None])
    return np.einsum("yixj,i,j->yx", values, weight / 2, weight / 2)


def cdo(operator: str, folder: Path) -> np.ndarray:
    """Return the result of an operator of CDO in double precision."""
    names = [str(folder / n) for n in ("target.nc", "source.nc", "out.nc")]
    command = ["cdo", "-s", "-b", "F64", f"{operator},{names[0]}", *names[1:]]
    subprocess.run(command, check=True, capture_output=True)
    with xr.open_dataset(names[2]) as out:
        return np.asarray(out["v"].values, "float64")


def main() -> None:
    """Print root mean square and largest error, and the change of the integral."""
    print(f"{'field':20} {'method':20} {'rms':>9} {'largest':>9} {'integral':>9}")
    for name, (degree, order) in FIELDS.items():

        def function(
            lon: np.ndarray, lat: np.ndarray, n: int = degree, m: int = order
        ) -> np.ndarray:
            return 2 + np.real(sph_harm_y(n, m, np.pi / 2 - lat, lon))

        exact, values = means(function, TARGET), means(function, SOURCE)
        field = xr.DataArray(values, dims=SOURCE.dims, name="v", attrs={"units": "1"})
        field = field.assign_coords(lat=SOURCE.lat, lon=SOURCE.lon)
        found = {
            m: regrid(field, TARGET, method=m).values for m in ("conservative", "conservative2")
        }
        if shutil.which("cdo"):
            with tempfile.TemporaryDirectory() as text:
                folder = Path(text)
                field.to_dataset().assign_coords(SOURCE.coords()).to_netcdf(folder / "source.nc")
                empty = xr.Dataset({"v": (TARGET.dims, exact)}, TARGET.coords())
                empty.to_netcdf(folder / "target.nc")
                found |= {f"cdo {o}": cdo(o, folder) for o in ("remapcon", "remapcon2")}
        for method, result in found.items():
            off = result - exact
            rms = np.sqrt(np.average(off**2, weights=TARGET.area))
            kept = (result * TARGET.area).sum() / (values * SOURCE.area).sum() - 1
            print(f"{name:20} {method:20} {rms:9.2e} {np.abs(off).max():9.2e} {kept:9.1e}")


if __name__ == "__main__":
    main()

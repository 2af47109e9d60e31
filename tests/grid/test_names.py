"""Grids by CDO's names and in its description files: the numbers are CDO's."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from narcf_geo.core.errors import FieldError, NarcfError, UsageError
from narcf_geo.grid import Grid
from narcf_geo.grid.description import described_grid, is_description
from narcf_geo.grid.names import named_grid

CDO = shutil.which("cdo")

GRIDDES = {
    "r36x18": (18, 36, 0, 10, -85, 85),
    "r360x181": (181, 360, 0, 1, -90, 90),
    "r8x7": (7, 8, 0, 45, -90, 90),
    "r5x4": (4, 5, 0, 72, -67.5, 67.5),
    "global_1": (180, 360, -179.5, 1, -89.5, 89.5),
    "global_2.5": (72, 144, -178.75, 2.5, -88.75, 88.75),
    "n2": (4, 8, 0, 45, 59.4444082891668, -59.4444082891668),
    "F8": (16, 32, 0, 11.25, 81.6505907503035, -81.6505907503035),
    "gN8": (16, 32, 0, 11.25, 81.6505907503035, -81.6505907503035),
    "t21grid": (32, 64, 0, 5.625, 85.7605871204438, -85.7605871204438),
    "t62grid": (94, 188, 0, 1.91489361702128, 88.5419501372975, -88.5419501372975),
    "tl159grid": (160, 320, 0, 1.125, 89.1415194264613, -89.1415194264613),
}
"""Rows, columns, xfirst, xinc, first and last latitude, as `cdo griddes` writes them."""

SPECTRAL = """#
# gridID 1
#
gridtype  = gaussian
gridsize  = 72
xsize     = 12
ysize     = 6
xname     = lon
xlongname = "longitude"
xunits    = "degrees_east"
yname     = lat
ylongname = "latitude"
yunits    = "degrees_north"
numLPE    = 3
xfirst    = 0
xinc      = 30
yvals     = 68.8230987636005 41.3921728225154 13.8050579357143 -13.8050579357143\x20
            -41.3921728225154 -68.8230987636005\x20
ybounds   = 55.9629200464103 90\x20
            27.8989705022047 55.9629200464103\x20
            1.27222187258541e-14 27.8989705022047\x20
            -27.8989705022046 1.27222187258541e-14\x20
            -55.9629200464102 -27.8989705022046\x20
            -90 -55.9629200464102\x20
"""

ROTATED = """#
# gridID 1
#
gridtype  = projection
gridsize  = 20
xsize     = 5
ysize     = 4
xname     = rlon
xunits    = "degrees"
yname     = rlat
yunits    = "degrees"
xfirst    = -1
xinc      = 0.5
yfirst    = -2
yinc      = 1
grid_mapping = rotated_pole
grid_mapping_name = rotated_latitude_longitude
grid_north_pole_latitude = 39.25
grid_north_pole_longitude = -162.
"""

LAMBERT = """gridtype  = projection
gridsize  = 12
xsize     = 4
ysize     = 3
xname     = x
xunits    = "m"
yname     = y
yunits    = "m"
xfirst    = 0
xinc      = 10000
yfirst    = 0
yinc      = 10000
grid_mapping = crs
grid_mapping_name = lambert_conformal_conic
standard_parallel = 30. 60.
longitude_of_central_meridian = -107.
latitude_of_projection_origin = 50.
earth_radius = 6371200.
"""

CURVILINEAR = """gridtype  = curvilinear
gridsize  = 6
xsize     = 3
ysize     = 2
xname     = lon
xdimname  = x
xunits    = "degrees_east"
yname     = lat
ydimname  = y
yunits    = "degrees_north"
vdimname  = nv
xvals     = 1.14888198006218 3.14888198006218 5.14888198006218 1.44884186529201 3.44884186529201\x20
            5.44884186529201\x20
xbounds   = 0 2 2.3 0.3\x20
            2 4 4.3 2.3\x20
            4 6 6.3 4.3\x20
            0.3 2.3 2.6 0.6\x20
            2.3 4.3 4.6 2.6\x20
            4.3 6.3 6.6 4.6\x20
yvals     = 40.5044068366618 40.5044068366618 40.5044068366618 41.5044284987742 41.5044284987742\x20
            41.5044284987742\x20
ybounds   = 40 40 41 41  40 40 41 41  40 40 41 41  41 41 42 42  41 41 42 42  41 41 42 42
"""

PLAIN = "gridtype = lonlat\nxsize = 4\nysize = 2\nxfirst = 0\nxinc = 90\nyfirst = -45\nyinc = 90\n"


def described(folder: Path, text: str) -> Grid:
    path = folder / "grid.txt"
    path.write_text(text)
    assert is_description(path)
    return described_grid(path)


def griddes(argument: str | Path) -> str:
    """What CDO says of a grid, or of a file."""
    if CDO is None:
        pytest.skip("cdo is not installed")
    file = argument if isinstance(argument, Path) else f"-topo,{argument}"
    ran = subprocess.run([CDO, "-s", "griddes", str(file)], capture_output=True, check=True)
    return ran.stdout.decode()


@pytest.mark.parametrize("name", GRIDDES)
def test_names_are_cdos(name: str) -> None:
    rows, columns, first, step, start, end = GRIDDES[name]
    grid = named_grid(name)
    assert grid is not None
    assert grid.shape == (rows, columns)
    np.testing.assert_allclose(grid.lon, first + step * np.arange(columns), atol=1e-10)
    np.testing.assert_allclose(grid.lat[[0, -1]], [start, end], atol=1e-10)
    assert {abs(float(e)) for e in grid.lat_b[[0, -1]]} == {90.0}
    assert np.ptp(grid.lon_b) == pytest.approx(360, abs=1e-9)


@pytest.mark.parametrize("name", [n for n in GRIDDES if n != "gN8"])
def test_names_against_cdo_itself(name: str, tmp_path: Path) -> None:
    found, theirs = named_grid(name), described(tmp_path, griddes(name))
    assert found is not None
    for key in ("lon", "lat", "lon_b", "lat_b"):
        np.testing.assert_allclose(getattr(found, key), getattr(theirs, key), atol=1e-8)


def test_rows_of_nodes_are_half_cells() -> None:
    grid = named_grid("r8x7")
    assert grid is not None
    assert grid.lat_b.tolist() == [-90, -75, -45, -15, 15, 45, 75, 90]


@pytest.mark.parametrize("name", ["r36", "global_", "n", "era5.nc", "r36x18.nc", "grid_1", "1", ""])
def test_what_is_no_name(name: str) -> None:
    assert named_grid(name) is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("N80", "different lengths"),
        ("O1280", "different lengths"),
        ("hp64", "which has none"),
        ("gme32", "which has none"),
        ("global_7", "divides 180"),
        ("global_0", "divides 180"),
        ("r0x10", "at least 1 x 2"),
        ("n1", "4 to 8000"),
        ("n99999", "4 to 8000"),
    ],
)
def test_names_of_grids_that_cannot_be(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        named_grid(name)


def test_gaussian_bounds_are_quadrature_weights(tmp_path: Path) -> None:
    grid = described(tmp_path, SPECTRAL)
    assert grid.matches(named_grid("t3grid"), 1e-9)  # type: ignore[arg-type]
    without = SPECTRAL.split("ybounds")[0]
    np.testing.assert_allclose(described(tmp_path, without).lat_b, grid.lat_b, atol=1e-9)
    half_way = without.replace("41.3921728225154", "45", 1)
    assert np.abs(described(tmp_path, half_way).lat_b - grid.lat_b).max() > 1


def test_gaussian_latitudes_may_be_left_out(tmp_path: Path) -> None:
    text = "gridtype = gaussian\nxsize = 8\nysize = 4\n"
    assert described(tmp_path, text) == named_grid("n2")
    with pytest.raises(UsageError, match="expected 6 latitudes for 3 between pole and equator"):
        described(tmp_path, text + "np = 3\n")


def test_a_rotated_pole(tmp_path: Path) -> None:
    grid = described(tmp_path, ROTATED)
    plane = grid.projection
    assert plane is not None
    assert plane.x_b.tolist() == [-1.25, -0.75, -0.25, 0.25, 0.75, 1.25]
    assert plane.y_b.tolist() == [-2.5, -1.5, -0.5, 0.5, 1.5]
    assert plane.is_angular
    # The equator of a pole at 39.25 N 162 W passes 50.75 N 18 E.
    assert (grid.lat[2, 2], grid.lon[2, 2]) == pytest.approx((50.75, 18.0), abs=1e-9)


def test_a_lambert_plane(tmp_path: Path) -> None:
    grid = described(tmp_path, LAMBERT)
    assert grid.shape == (3, 4)
    assert (grid.lat[0, 0], grid.lon[0, 0]) == pytest.approx((50, -107), abs=1e-9)
    in_km = LAMBERT.replace('"m"', '"km"').replace("10000", "10")
    assert described(tmp_path, in_km) == grid
    assert described(tmp_path, LAMBERT.replace("10000", "10")) != grid


def test_curvilinear_cells(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        grid = described(tmp_path, CURVILINEAR)
    assert grid.lon_b[2].tolist() == [0.6, 2.6, 4.6, 6.6]
    assert grid.lat_b[:, 0].tolist() == [40, 41, 42]
    text = "\n".join(line for line in CURVILINEAR.splitlines() if "ybounds" not in line)
    with pytest.warns(UserWarning, match="interpolated"):
        assert described(tmp_path, text).lat_b[0, 0] != 40


@pytest.mark.parametrize("text", [SPECTRAL, ROTATED, LAMBERT, CURVILINEAR, PLAIN])
def test_cdo_reads_what_is_read_here(text: str, tmp_path: Path) -> None:
    """The same text through CDO and back is the same grid."""
    here = described(tmp_path, text)
    if CDO is None:
        pytest.skip("cdo is not installed")
    (tmp_path / "in.txt").write_text(text)
    out = tmp_path / "out.nc"
    subprocess.run(
        [CDO, "-s", "-f", "nc", f"-const,1,{tmp_path / 'in.txt'}", str(out)],
        check=True, capture_output=True,
    )  # fmt: skip
    with xr.open_dataset(out) as ds:
        assert Grid.from_dataset(ds).matches(here, 1e-6)
    assert described(tmp_path, griddes(out)).matches(here, 1e-6)


def test_of_a_projection_and_its_positions_the_projection_is_taken(tmp_path: Path) -> None:
    both = CURVILINEAR + LAMBERT
    assert described(tmp_path, both) == described(tmp_path, LAMBERT)
    with pytest.raises(UsageError, match="expected one grid, found 2"):
        described(tmp_path, LAMBERT + CURVILINEAR)


def test_spelling_is_free(tmp_path: Path) -> None:
    plain = described(tmp_path, PLAIN)
    assert plain.lon.tolist() == [0, 90, 180, 270]
    free = (
        "# a comment\n\nGRIDTYPE=lonlat # another\n  xsize=4\nysize =2\n"
        "xname = 'a # b'\nxvals = 0, 90,\n 180\n\n 270\nyvals=-45 45\n"
    )
    assert described(tmp_path, free) == plain
    radians = PLAIN.replace("xinc = 90", "xinc = 1.5707963267948966\nxunits = radian")
    assert described(tmp_path, radians).matches(plain)
    falling = PLAIN.replace("yfirst = -45", "yfirst = 45").replace("yinc = 90", "yinc = -90")
    assert described(tmp_path, falling).lat.tolist() == [45, -45]
    one = "gridtype = lonlat\nxsize = 1\nysize = 1\nxfirst = 5\nxinc = 10\nyfirst = 5\nyinc = 2\n"
    assert described(tmp_path, one).lat_b.tolist() == [4, 6]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("gridtype = lonlat", "gridtype = unstructured"), "found 'unstructured'"),
        (("gridtype = lonlat", "gridtype = gaussian_reduced"), "found 'gaussian_reduced'"),
        (("gridtype = lonlat", "gridtype = generic"), "found 'generic'"),
        (("xsize = 4", "xsize = 4\ncolour = red"), "found colour"),
        (("xsize = 4", "xsize = 4\nmask = 1 0"), "found mask"),
        (("xsize = 4", "xsize = 4\nxnpole = -162\nynpole = 39"), "rotated_latitude_longitude"),
        (("xsize = 4", "xsize = 4\nxsize = 4"), "'xsize' once"),
        (("xsize = 4", "xsize = four"), "whole number for 'xsize'"),
        (("xsize = 4", "xsize = -4"), "whole number for 'xsize'"),
        (("xsize = 4", "gridsize = 9\nxsize = 4"), "gridsize 9"),
        (("xfirst = 0", "xfirst = zero"), "numbers for 'xfirst'"),
        (("xfirst = 0", "xfirst = nan"), "numbers for 'xfirst'"),
        (("xfirst = 0", "xfirst = 0 1"), "one number for xfirst"),
        (("xinc = 90", "xinc = 0"), "other than 0 for xinc"),
        (("xfirst = 0\n", ""), "one number for xfirst"),
        (("xsize = 4\n", ""), "xsize and xfirst"),
        (("xinc = 90", "xinc = 90\nxvals = 0 90 180 270"), "found both"),
        (("xfirst = 0\nxinc = 90", "xvals = 0 90 180"), "xsize 4"),
        (("xinc = 90", "xinc = 90\nxbounds = 0 1 2"), "8 numbers for xbounds"),
        (("xinc = 90", 'xinc = 90\nxname = "lon'), "quotes of a text to close"),
        (("gridtype = lonlat\n", "hello\ngridtype = lonlat\n"), "`key = value`, found 'hello'"),
        (("gridtype = lonlat\n", "xname = lon\ngridtype = lonlat\n"), "gridtype first"),
        (("gridtype = lonlat", "gridtype = projection"), "x and y axes with a grid mapping"),
        (("gridtype = lonlat", "gridtype = projection\nearth_radius = 1"), "grid_mapping_name or"),
    ],
)
def test_descriptions_that_are_none(change: tuple[str, str], words: str, tmp_path: Path) -> None:
    text = PLAIN.replace(*change)
    assert text != PLAIN
    with pytest.raises(NarcfError, match=words):
        described(tmp_path, text)


def test_units_that_are_no_angle(tmp_path: Path) -> None:
    with pytest.raises(FieldError, match="as the unit of 'lon', found 'parsnips'"):
        described(tmp_path, PLAIN + "xunits = parsnips\n")


@pytest.mark.parametrize(
    "content", [b"", b"CDF\x01 gridtype = lonlat", b"\x89HDF", b"a,b\n1,2\n", b"the gridtype = x"]
)
def test_other_files_are_no_description(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content if b"CDF" not in content else content + b"\0")
    assert not is_description(tmp_path / "file")
    assert not is_description(tmp_path)

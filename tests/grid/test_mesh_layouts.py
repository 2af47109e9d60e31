"""The layouts that meshes come in: each written as its programs do, found again, and compared."""

from __future__ import annotations

import warnings

import numpy as np
import pyproj
import pytest
import xarray as xr
from meshes import R2, four, lonlat_of, padded, swath, triangles, voronoi, xyz_of

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.grid import Grid, Mesh, cells_of
from narcf_geo.grid.connectivity import padded_corners
from narcf_geo.grid.layouts.gaussian import gaussian_mesh
from narcf_geo.grid.layouts.healpix import healpix_mesh

GLOBE = 4 * np.pi * R2
LON_V, LAT_V, REGIONS, CENTERS = voronoi(300)
LON, LAT = lonlat_of(CENTERS)
COUNTS = np.array([len(r) for r in REGIONS])
TRUTH = Mesh(LON_V, LAT_V, np.concatenate(REGIONS), COUNTS, None, LON, LAT)
VALUES = np.arange(300.0)


def found(ds: xr.Dataset) -> Mesh:
    cells = cells_of(ds)
    assert isinstance(cells, Mesh)
    return cells


def ugrid(start: int, transposed: bool, decoded: bool, centers: bool, radians: bool) -> xr.Dataset:
    table = padded(REGIONS, -1 if start == 0 else 0, start)
    fill = -1 if start == 0 else 0
    unit, scale = ("radian", np.pi / 180) if radians else ("degrees", 1.0)
    mesh = {
        "cf_role": "mesh_topology",
        "topology_dimension": np.int32(2),
        "node_coordinates": "nx ny",
        "face_node_connectivity": "fn",
    }
    data: dict = {
        "nx": ("node", LON_V * scale, {"standard_name": "longitude", "units": f"{unit}"}),
        "ny": ("node", LAT_V * scale, {"standard_name": "latitude", "units": f"{unit}"}),
        "v": ("face", VALUES, {"mesh": "topology", "location": "face"}),
    }
    if centers:
        mesh["face_coordinates"] = "fx fy"
        data["fx"] = ("face", LON, {"standard_name": "longitude", "units": "degrees_east"})
        data["fy"] = ("face", LAT, {"standard_name": "latitude", "units": "degrees_north"})
    dims = ("k", "face") if transposed else ("face", "k")
    values = table.T if transposed else table
    attrs: dict = {"start_index": start, "cf_role": "face_node_connectivity"}
    if decoded:
        values = np.where(values == fill, np.nan, values)
    else:
        attrs["_FillValue"] = fill
    return xr.Dataset({"topology": ((), 0, mesh), "fn": (dims, values, attrs), **data})


@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("decoded", [False, True])
def test_ugrid(start: int, transposed: bool, decoded: bool) -> None:
    for centers in (True, False):
        mesh = found(ugrid(start, transposed, decoded, centers, radians=not centers))
        assert mesh.dims == ("face",)
        assert mesh.matches(TRUTH, 1e-9)
        if centers:
            assert mesh == TRUTH


def test_a_wrong_start_index_of_ugrid_is_refused() -> None:
    ds = ugrid(1, False, False, True, False)
    ds.fn.attrs["start_index"] = 0
    ds.fn.attrs["_FillValue"] = -1
    with pytest.raises(NarcfError, match="start_index"):
        cells_of(ds)


def test_fields_on_nodes_are_no_cells() -> None:
    ds = ugrid(0, False, False, True, False).drop_vars("v")
    ds["depth"] = ("node", LON_V, {"mesh": "topology", "location": "node"})
    with pytest.raises(NarcfError, match="location node"):
        cells_of(ds)


def test_icon_without_a_unit_is_refused() -> None:
    lon_v, lat_v = (np.radians(v) for v in padded_corners(TRUTH) or ())
    ds = xr.Dataset(
        {"v": ("cell", VALUES)},
        coords={"clat": ("cell", np.radians(LAT)), "clon": ("cell", np.radians(LON))},
    ).assign(clat_vertices=(("cell", "nv"), lat_v), clon_vertices=(("cell", "nv"), lon_v))
    with pytest.raises(NarcfError, match="whole globe in radians"):
        cells_of(ds)
    for name in ("clat", "clon"):
        ds[name].attrs["units"] = "radian"
    np.testing.assert_allclose(found(ds).area, TRUTH.area, rtol=1e-9)


def test_names_of_ugrid_coordinates_do_not_outweigh_what_they_say() -> None:
    ds = ugrid(0, False, False, True, False).rename(nx="flat_x", ny="flat_y")
    ds.topology.attrs["node_coordinates"] = "flat_x flat_y"
    assert found(ds).matches(TRUTH, 1e-9)


@pytest.mark.parametrize(("units", "per_radian"), [("Degrees", 180 / np.pi), ("gon", 200 / np.pi)])
def test_mpas_of_any_angle(units: str, per_radian: float) -> None:
    # Near 0 N 0 E degrees taken for radians are still latitudes.
    lon, lat = np.array([0.1, 0.3, 0.3, 0.1]), np.array([0.2, 0.2, 0.5, 0.5])
    attrs = {"units": units}
    ds = xr.Dataset(
        {
            "lonVertex": ("nVertices", np.radians(lon) * per_radian, attrs),
            "latVertex": ("nVertices", np.radians(lat) * per_radian, attrs),
            "verticesOnCell": (("nCells", "maxEdges"), [[1, 2, 3, 4]]),
            "nEdgesOnCell": ("nCells", [4]),
            "v": ("nCells", [1.0]),
        }
    )
    assert found(ds).extent == pytest.approx((0.2, 0.5, 0.1, 0.3))


@pytest.mark.parametrize("stated", [True, False])
def test_mpas(stated: bool) -> None:
    table = padded(REGIONS, 0, 1)
    # MPAS fills rows with anything, often the last vertex again.
    table[table == 0] = 7
    units = {"units": "rad"} if stated else {}
    ds = xr.Dataset(
        {
            "lonVertex": ("nVertices", np.radians(LON_V), units),
            "latVertex": ("nVertices", np.radians(LAT_V), units),
            "lonCell": ("nCells", np.radians(LON), units),
            "latCell": ("nCells", np.radians(LAT), units),
            "verticesOnCell": (("nCells", "maxEdges"), table),
            "nEdgesOnCell": ("nCells", COUNTS),
            "v": (("Time", "nCells"), VALUES[None]),
        }
    )
    mesh = found(ds)
    assert mesh.dims == ("nCells",)
    assert mesh.matches(TRUTH, 1e-9)


@pytest.mark.parametrize("pad", ["repeated", "missing"])
@pytest.mark.parametrize("turned", [False, True])
def test_vertices_of_unstructured_cells(pad: str, turned: bool) -> None:
    table = padded(REGIONS)
    last = np.array([r[-1] for r in REGIONS])
    table = np.where(table < 0, last[:, None], table)
    lon_v, lat_v = LON_V[table], LAT_V[table]
    if pad == "missing":
        gone = np.arange(table.shape[1]) >= COUNTS[:, None]
        lon_v, lat_v = (np.where(gone, np.nan, v) for v in (lon_v, lat_v))
    if turned and pad == "repeated":
        lon_v, lat_v = lon_v[:, ::-1], lat_v[:, ::-1]
    ds = xr.Dataset(
        {"v": ("n", VALUES)},
        coords={
            "lat": ("n", LAT, {"standard_name": "latitude", "bounds": "lat_v"}),
            "lon": ("n", LON + 360 * (LON < 0), {"standard_name": "longitude", "bounds": "lon_v"}),
            "lat_v": (("n", "k"), lat_v),
            "lon_v": (("n", "k"), lon_v),
        },
    )
    mesh = found(ds)
    np.testing.assert_allclose(mesh.area, TRUTH.area, rtol=1e-9)
    assert mesh.area.sum() == pytest.approx(GLOBE, rel=1e-12)


def test_a_list_of_places_is_refused() -> None:
    ds = xr.Dataset({"v": ("n", VALUES)}, coords={"lat": ("n", LAT), "lon": ("n", LON)})
    with pytest.raises(NarcfError, match=r"list of places.*corners"):
        cells_of(ds)


@pytest.mark.parametrize("nest", [True, False])
@pytest.mark.parametrize("how", ["mapping", "level", "xdggs"])
def test_healpix(nest: bool, how: str) -> None:
    some = np.array([5, 17, 100, 191])
    order = "nest" if nest else "ring"
    if how == "mapping":
        about = {"grid_mapping_name": "healpix", "healpix_nside": 4, "healpix_order": order}
        ds = xr.Dataset(
            {"v": ("pix", np.zeros(192), {"grid_mapping": "crs"}), "crs": ((), 0, about)}
        )
        expected = Mesh.healpix(4, nest)
    elif how == "level":
        scheme = "nested" if nest else "ring"
        about = {"grid_mapping_name": "healpix", "refinement_level": 2, "indexing_scheme": scheme}
        ds = xr.Dataset({"v": ("pix", some), "crs": ((), 0, about)})
        ds["number"] = ("pix", some, {"standard_name": "healpix_index"})
        expected = Mesh.healpix(4, nest, some)
    else:
        about = {"grid_name": "healpix", "level": 2, "indexing_scheme": "nested" if nest else order}
        ds = xr.Dataset({"v": ("pix", some)}, coords={"cell_ids": ("pix", some, about)})
        expected = Mesh.healpix(4, nest, some)
    mesh = found(ds)
    assert mesh == expected
    assert mesh.dims == ("pix",)


def test_healpix_is_that_of_its_definition() -> None:
    """Areas are equal; rings run from the north, eastwards; nested cells have four children."""
    for nside in (1, 2, 3, 8):
        mesh = Mesh.healpix(nside, nest=False)
        np.testing.assert_allclose(mesh.area, GLOBE / mesh.lon.size, rtol=1e-3)
        order = np.lexsort((mesh.lon, -np.round(mesh.lat, 9)))
        np.testing.assert_array_equal(order, np.arange(mesh.lon.size))
    z = np.sin(np.radians(Mesh.healpix(2, nest=False).lat))
    np.testing.assert_allclose(
        z[[0, 4, 12, 20, 28]], [1 - 1 / 12, 2 / 3, 1 / 3, 0, -1 / 3], atol=1e-12
    )
    parents, children = Mesh.healpix(2), Mesh.healpix(4)
    from narcf_geo.kernels.conservative import conservative_weights

    shared = conservative_weights(children, parents).toarray()
    for cell in range(48):
        np.testing.assert_allclose(shared[cell, 4 * cell : 4 * cell + 4], 0.25, rtol=3e-3)
    other = conservative_weights(Mesh.healpix(4, nest=False), parents).toarray()
    assert np.abs(other - shared).max() > 0.2


def test_healpix_that_is_none() -> None:
    with pytest.raises(UsageError, match="power of 2"):
        Mesh.healpix(3)
    with pytest.raises(UsageError, match="cells 0 to 11"):
        Mesh.healpix(1, cells=[12])
    about = {"grid_mapping_name": "healpix", "healpix_nside": 4, "healpix_order": "spiral"}
    with pytest.raises(NarcfError, match="spiral"):
        cells_of(xr.Dataset({"v": ("pix", np.zeros(192)), "crs": ((), 0, about)}))
    about["healpix_order"] = "ring"
    with pytest.raises(NarcfError, match="192 cells"):
        cells_of(xr.Dataset({"v": ("pix", np.zeros(191)), "crs": ((), 0, about)}))
    assert healpix_mesh(2, True, [3, 1]).shape == (2,)


def reduced() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    nodes = np.degrees(np.arcsin(np.polynomial.legendre.leggauss(16)[0]))[::-1]
    points = np.array([8, 12, 16, 20, 24, 28, 32, 32])
    points = np.concatenate([points, points[::-1]])
    lat = np.repeat(nodes, points)
    lon = np.concatenate([np.arange(n) * 360.0 / n for n in points])
    return lon, lat, points


def test_reduced_gaussian_grids() -> None:
    lon, lat, points = reduced()
    weights = np.polynomial.legendre.leggauss(16)[1]
    listed = xr.Dataset(
        {"t": ("values", lat, {"GRIB_gridType": "reduced_gg", "GRIB_N": 8})},
        coords={
            "latitude": ("values", lat, {"units": "degrees_north"}),
            "longitude": ("values", lon, {"units": "degrees_east"}),
        },
    )
    rows = xr.Dataset(
        {
            "t": ("rgrid", lat, {"CDI_grid_type": "gaussian_reduced"}),
            "reduced_points": ("lat", points),
        },
        coords={"lat": ("lat", lat[np.cumsum(points) - 1], {"units": "degrees_north"})},
    )
    for ds, dim in ((listed, "values"), (rows, "rgrid")):
        mesh = found(ds)
        assert mesh.dims == (dim,)
        assert mesh.area.sum() == pytest.approx(GLOBE, rel=1e-12)
        expected = np.repeat(weights / points / 2, points) * GLOBE
        np.testing.assert_allclose(mesh.area, expected, rtol=2e-4)
        np.testing.assert_allclose(mesh.lat, lat)
    with pytest.raises(NarcfError, match="evenly around"):
        gaussian_mesh(lon[3:], lat[3:])


def cubed(n: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Corners (6, n + 1, n + 1) of an equiangular cubed sphere."""
    a = np.tan(np.linspace(-np.pi / 4, np.pi / 4, n + 1))
    x, y = np.meshgrid(a, a)
    one = np.ones_like(x)
    faces = [(one, x, y), (-x, one, y), (-one, -x, y), (x, -one, y), (-y, x, one), (y, x, -one)]
    return lonlat_of(np.stack([np.stack(f, -1) for f in faces]))


@pytest.mark.parametrize("bounds", [False, True])
def test_cubed_spheres(bounds: bool) -> None:
    lon_c, lat_c = cubed()
    lon_v, lat_v = (np.stack([four(face) for face in c]) for c in (lon_c, lat_c))
    lon, lat = lonlat_of(xyz_of(lon_v, lat_v).sum(-2))
    dims = ("nf", "Ydim", "Xdim")
    ds = xr.Dataset(
        {"v": (("time", *dims), np.zeros((1, 6, 6, 6)))},
        coords={
            "lats": (dims, lat, {"units": "degrees_north", "standard_name": "latitude"}),
            "lons": (dims, lon, {"units": "degrees_east", "standard_name": "longitude"}),
        },
    )
    if bounds:
        ds = ds.assign(lats_bnds=((*dims, "k"), lat_v), lons_bnds=((*dims, "k"), lon_v))
        ds.lats.attrs["bounds"], ds.lons.attrs["bounds"] = "lats_bnds", "lons_bnds"
    else:
        corner = ("nf", "YCdim", "XCdim")
        ds = ds.assign(corner_lats=(corner, lat_c), corner_lons=(corner, lon_c))
    mesh = found(ds)
    assert mesh.shape == (6, 6, 6)
    assert mesh.dims == dims
    assert mesh.area.sum() == pytest.approx(GLOBE, rel=1e-12)
    from narcf_geo.regridding import regrid

    ds["v"] = (("time", *dims), np.arange(216.0).reshape(1, 6, 6, 6))
    out = regrid(ds, Grid.regular(-180, -90, 180, 90, 20))
    back = regrid(ds.chunk(nf=2), mesh)
    np.testing.assert_allclose(back.v.values, ds.v.values, rtol=1e-12)
    assert back.v.dims == ("time", *dims)
    assert out.v.notnull().all()


@pytest.mark.parametrize("unit", ["degrees", "radians"])
def test_scrip_files(unit: str) -> None:
    scale = np.pi / 180 if unit == "radians" else 1.0
    table = padded(REGIONS)
    last = np.array([r[-1] for r in REGIONS])
    table = np.where(table < 0, last[:, None], table)
    about = {"units": unit}
    mask = np.ones(300, "i4")
    mask[4] = 0
    ds = xr.Dataset(
        {
            "grid_dims": ("grid_rank", np.array([300])),
            "grid_corner_lat": (("grid_size", "grid_corners"), LAT_V[table] * scale, about),
            "grid_corner_lon": (("grid_size", "grid_corners"), LON_V[table] * scale, about),
            "grid_center_lat": ("grid_size", LAT * scale, about),
            "grid_center_lon": ("grid_size", LON * scale, about),
            "grid_imask": ("grid_size", mask, {"units": "unitless"}),
        }
    )
    mesh = found(ds)
    np.testing.assert_allclose(mesh.area, TRUTH.area * mask, rtol=1e-9)
    ds["grid_corner_lat"].attrs["units"] = "furlongs"
    with pytest.raises(NarcfError, match="furlongs"):
        cells_of(ds)


def test_a_scrip_file_of_rows_and_columns_is_a_grid() -> None:
    grid = Grid.regular(-20, 10, 20, 40, (2, 5))
    lon_c, lat_c = grid.corners()
    lon, lat = grid.centers()
    ds = xr.Dataset(
        {
            "grid_dims": ("grid_rank", np.array(grid.shape[::-1])),
            "grid_corner_lat": (("n", "k"), four(lat_c).reshape(-1, 4), {"units": "degrees"}),
            "grid_corner_lon": (("n", "k"), four(lon_c).reshape(-1, 4), {"units": "degrees"}),
            "grid_center_lat": ("n", lat.ravel(), {"units": "degrees"}),
            "grid_center_lon": ("n", lon.ravel(), {"units": "degrees"}),
        }
    )
    assert Grid.from_dataset(ds).matches(grid)


@pytest.mark.parametrize("flat", [False, True])
def test_esmf_mesh_files(flat: bool) -> None:
    node = xr.Variable(("nodeCount", "coordDim"), np.stack([LON_V, LAT_V], 1), {"units": "degrees"})
    number = ("elementCount", COUNTS.astype("i1"))
    if flat:
        conn = ("connectionCount", np.concatenate(REGIONS) + 1)
    else:
        conn = (("elementCount", "maxNodePElement"), padded(REGIONS, -1, 1), {"_FillValue": -1})
    ds = xr.Dataset({"nodeCoords": node, "elementConn": conn, "numElementConn": number})
    mesh = found(ds)
    assert mesh.matches(TRUTH, 1e-9)
    centers = xr.Variable(
        ("elementCount", "coordDim"), np.stack([LON, LAT], 1), {"units": "degrees"}
    )
    assert found(ds.assign(centerCoords=centers)) == TRUTH


def test_soundings_with_vertices_of_their_own_name() -> None:
    """OCO-2: no bounds attribute."""
    lon_v, lat_v = (
        four(np.array([[0, 1.0, 2], [0.2, 1.2, 2.2]])),
        four(np.array([[10.0, 10, 10], [12, 12, 12.0]])),
    )
    ds = xr.Dataset(
        {
            "xco2": ("sounding_id", [400.0, 401.0]),
            "latitude": ("sounding_id", lat_v.mean(-1).ravel(), {"units": "degrees_north"}),
            "longitude": ("sounding_id", lon_v.mean(-1).ravel(), {"units": "degrees_east"}),
            "vertex_latitude": (("sounding_id", "vertices"), lat_v.reshape(-1, 4)),
            "vertex_longitude": (("sounding_id", "vertices"), lon_v.reshape(-1, 4)),
        }
    )
    assert found(ds) == Mesh.from_vertices(
        lon_v[0], lat_v[0], lon=lon_v.mean(-1)[0], lat=lat_v.mean(-1)[0]
    )


def test_positions_along_time() -> None:
    lon, lat = np.meshgrid(np.linspace(-100, -80, 12), np.linspace(30, 45, 10))
    lon = lon + 0.1 * (lat - 35)
    dims = ("Time", "south_north", "west_east")
    ds = xr.Dataset(
        {"v": (dims, np.zeros((3, 10, 12)))},
        coords={
            "XLAT": (dims, np.stack([lat] * 3), {"units": "degree_north"}),
            "XLONG": (dims, np.stack([lon] * 3), {"units": "degree_east"}),
        },
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        grid = cells_of(ds)
        assert isinstance(grid, Grid)
        assert grid.dims == dims[1:]
    ds.XLAT.values[2] += 0.1
    with pytest.raises(NarcfError, match=r"'XLAT' to stay the same along Time.*cells that move"):
        cells_of(ds)


def test_footprints_keep_their_rows() -> None:
    mesh = found(swath())
    assert mesh.shape == (30, 20)
    assert (mesh.area > 0).all()


def test_a_full_disk_has_cells_on_the_globe_alone() -> None:
    crs = pyproj.CRS("+proj=geos +h=35786023 +lon_0=-75 +sweep=x +a=6378137 +b=6356752.31414")
    edge = 5500000.0
    x = np.linspace(-edge, edge, 56)
    ds = xr.Dataset(
        {"v": (("y", "x"), np.zeros((56, 56)), {"grid_mapping": "crs"})},
        coords={
            "x": ("x", x, {"units": "m", "standard_name": "projection_x_coordinate"}),
            "y": ("y", -x, {"units": "m", "standard_name": "projection_y_coordinate"}),
        },
    ).assign(crs=((), 0, crs.to_cf()))
    mesh = found(ds)
    on = mesh.area > 0
    assert not on[0, 0]
    assert on[28, 28]
    half = (x[1] - x[0]) / 2
    xc, yc = np.meshgrid(x, -x)
    inverse = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    corners = [
        np.isfinite(inverse.transform(xc + a * half, yc + b * half)[0])
        for a in (-1, 1)
        for b in (-1, 1)
    ]
    np.testing.assert_array_equal(on, np.all(corners, axis=0))
    ds["x"], ds["y"] = ds.x * 1000, ds.y * 1000
    ds.x.attrs["units"] = ds.y.attrs["units"] = "m"
    with pytest.raises(NarcfError, match="are the units right"):
        cells_of(ds.isel(x=slice(0, 20)))


def test_triangles_of_any_orientation_have_positive_areas() -> None:
    lon_v, lat_v, corners = triangles(200)
    turned = corners.copy()
    turned[::2] = turned[::2, ::-1]
    counts = np.full(len(corners), 3)
    one, two = (Mesh(lon_v, lat_v, c, counts) for c in (corners, turned))
    np.testing.assert_allclose(one.area, two.area, rtol=1e-12)
    assert one.area.sum() == pytest.approx(GLOBE, rel=1e-12)

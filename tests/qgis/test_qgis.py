"""QGIS opens the products of a run: values, names, styles, and the months of its slider."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import geopandas as gpd
import matplotlib.image
import numpy as np
import pytest
import shapely
import xarray as xr

from narcf_geo.outputs.products import write_products

SYSTEM_PYTHON = "/usr/bin/python3"
SCRIPT = Path(__file__).with_name("read_products.py")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def qgis_python() -> str:
    if (
        not Path(SYSTEM_PYTHON).exists()
        or subprocess.run(
            [SYSTEM_PYTHON, "-c", "import qgis.core"], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("QGIS with Python is not installed (Debian: apt-get install python3-qgis)")
    return SYSTEM_PYTHON


@pytest.fixture(scope="module")
def points(america: xr.Dataset) -> list[list[float]]:
    rows, columns = np.nonzero(america["flux"][0].notnull().values)
    chosen = np.random.default_rng(3).choice(rows.size, 20, replace=False)
    return [[float(america["lon"][columns[i]]), float(america["lat"][rows[i]])] for i in chosen]


@pytest.fixture(scope="module")
def found(america, points, qgis_python, tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("qgis") / "written"
    biome = america["biome"]
    shares = [(biome == n).astype("float32") for n in range(18)]
    fraction = xr.concat(shares, dim="igbp_class").assign_coords(igbp_class=np.arange(18))
    boxes = {"east": (-90, 25, -60, 60), "west": (-130, 25, -90, 60)}
    regions = gpd.GeoDataFrame(
        {"name": [*boxes]}, geometry=[shapely.box(*b) for b in boxes.values()], crs="EPSG:4326"
    )
    write_products(with_uncertainty(america), folder, class_fraction=fraction, regions=regions)
    moved = Path(shutil.move(folder, folder.with_name("moved to another place")))
    return {**opened(qgis_python, moved, points), "folder": moved}


def with_uncertainty(ds: xr.Dataset) -> xr.Dataset:
    std = (0.1 + abs(ds["flux"]) / 5).assign_attrs(ds["flux"].attrs)
    index = (std / 3).assign_attrs(units="1")
    return ds.assign(flux_std=std, applicability=index, applicable=(index < 0.1).astype("f4"))


def opened(qgis_python: str, folder: Path, points: list[list[float]]) -> dict:
    done = subprocess.run(
        [qgis_python, SCRIPT, folder, json.dumps(points)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict = json.loads(done.stdout)
    return found


def test_every_file_opens_where_it_lies(found):
    for name, raster in found["rasters"].items():
        assert raster["valid"], name
        assert raster["crs"] == "EPSG:4326"
        assert raster["extent"] == [-170.0, 10.0, -50.0, 80.0]
    yearly = {f"{n}_{y}.tif" for n in ("flux", "flux_std", "applicability") for y in (2014, 2015)}
    assert set(found["rasters"]) == {"biomes.tif", "class_fractions.tif", *yearly}
    assert found["netcdf"]
    assert all(valid and count for valid, count in found["vectors"].values())
    assert set(found["vectors"]) == {"region", "regions", "coastline", "borders", "states"}
    assert found["vectors"]["regions"] == [True, 2]


def test_values_at_points_are_those_of_the_netcdf(found, points):
    with xr.open_dataset(found["folder"] / "flux.nc") as ds:
        for year in (2014, 2015):
            flux = ds["flux"].sel(time=str(year))
            for (lon, lat), values in zip(
                points, found["rasters"][f"flux_{year}.tif"]["values"], strict=True
            ):
                np.testing.assert_array_equal(np.float32(values), flux.sel(lon=lon, lat=lat).values)
            std = ds["flux_std"].sel(time=f"{year}-07-01")
            for (lon, lat), values in zip(
                points, found["rasters"][f"flux_std_{year}.tif"]["values"], strict=True
            ):
                assert np.float32(values[6]) == std.sel(lon=lon, lat=lat).item()
        biome = [ds["biome"].sel(lon=lon, lat=lat).item() for lon, lat in points]
    assert [v[0] for v in found["rasters"]["biomes.tif"]["values"]] == biome


def test_bands_styles_and_statistics(found, america):
    raster = found["rasters"]["flux_2015.tif"]
    assert raster["bands"][6].endswith("2015-07")
    assert raster["renderer"] == "singlebandpseudocolor"
    low, high = raster["range"]
    assert low == -high < 0
    january = america["flux"].sel(time="2015-01-01")
    assert raster["statistics"] == pytest.approx([float(january.min()), float(january.max())])
    spread = found["rasters"]["flux_std_2015.tif"]
    assert spread["renderer"] == "singlebandpseudocolor"
    assert spread["range"][0] == 0.0
    assert spread["bands"][11].endswith("2015-12")
    biomes = found["rasters"]["biomes.tif"]
    assert biomes["renderer"] == "paletted"
    assert biomes["classes"]["12.0"] == "CRO – croplands"
    fractions = found["rasters"]["class_fractions.tif"]
    assert fractions["bands"][12].endswith("CRO croplands")
    assert fractions["range"] == [0.0, 1.0]


def test_the_project_has_a_layer_for_each_step_of_the_slider(found):
    project = found["project"]
    assert found["opened"]
    assert all(project["valid"].values())
    assert project["unresolved"] == []
    assert project["crs"] == "EPSG:4326"
    assert project["title"] == "A test product"
    months = project["months"]
    assert sorted(months) == [f"{y}-{m:02d}" for y in (2014, 2015) for m in range(1, 13)]
    assert {"region", "regions", "coastline", "borders", "states"} <= set(project["valid"])
    assert {"Standard deviation", "Dissimilarity to the training data"} <= set(project["groups"])
    assert set(months) <= set(project["steps"])
    for name, month in months.items():
        assert month["shown"] == [name]
        assert month["band"] == int(name[-2:])
        assert Path(month["source"]).name == f"flux_{name[:4]}.tif"
    assert all(str(found["folder"]) in source for source in project["sources"])


def test_a_project_of_one_year_has_its_twelve_steps(america, qgis_python, points, tmp_path):
    write_products(america, tmp_path, years=[2015])
    project = opened(qgis_python, tmp_path, points)["project"]
    assert sorted(project["months"]) == [f"2015-{m:02d}" for m in range(1, 13)]
    # QGIS itself counts a step beyond the end.
    assert set(project["steps"]) - set(project["months"]) <= {"2016-01"}
    assert all(month["shown"] == [name] for name, month in project["months"].items())


def test_a_page_a_theme_of_one_month_and_layers_by_band(found):
    assert found["pages"] == {"Map": ["legend", "map", "page", "scale", "source", "title"]}
    page = matplotlib.image.imread(found["folder"] / "Map.png")[..., :3]
    # A4 at 100 dots to the inch, with flux, coast and legend on it: not a blank page.
    assert page.shape[:2] == pytest.approx((827, 1169), abs=2)
    assert len(np.unique((page[200:600, 100:700] * 255).astype(int).reshape(-1, 3), axis=0)) > 50
    assert page[80:700, 850:1100].std() > 0.02
    months = set(found["project"]["months"])
    shown = {name.split()[0]: set(layers) & months for name, layers in found["themes"].items()}
    assert shown["All"] == months
    assert len(shown["One"]) == 1
    assert "Biomes (IGBP)" in found["themes"]["Biomes (IGBP)"]
    assert found["metadata"][0] == "A test product"
    assert all(found["by_band"].values())
    assert {"2014", "2015"} <= set(found["by_band"])

"""Figures as journals want them: written, and opened again."""

from __future__ import annotations

import re

import matplotlib.image
import numpy as np
import pytest
from PIL import Image

from narcf_geo.core.errors import UsageError
from narcf_geo.figures import maps
from narcf_geo.figures.finish import Finish


def test_a_picture_has_the_width_resolution_and_colours_asked_for(
    small_prediction, in_process, tmp_path
):
    source = tmp_path / "in.nc"
    small_prediction.to_netcdf(source)
    wanted = ("--size", 89, "--dpi", 300, "--cmap", "RdBu_r", "--font", "DejaVu Serif")
    for name, options in (("plain.png", ()), ("asked.png", wanted), ("asked.svg", wanted)):
        done = in_process("map", source, tmp_path / name, *options)
        assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "asked.png") as image, Image.open(tmp_path / "plain.png") as plain:
        assert image.width == pytest.approx(89 / 25.4 * 300, abs=1)
        assert image.height / image.width == pytest.approx(plain.height / plain.width, rel=0.01)
    files = [tmp_path / f"{name}.png" for name in ("plain", "asked")]
    before, after = (matplotlib.image.imread(file)[..., :3] for file in files)

    def green(picture: np.ndarray) -> float:
        """Share of pixels in the green of an uptake."""
        red, verdure, blue = np.moveaxis(picture, -1, 0)
        return float(((verdure > red + 0.15) & (verdure > blue)).mean())

    assert green(before) > 0.003 > 0.0005 > green(after)
    text = (tmp_path / "asked.svg").read_text("utf-8")
    assert "DejaVu Serif" in text or "DejaVuSerif" in text
    width = re.search(r'width="([\d.]+)pt"', text)
    assert width is not None
    assert float(width[1]) == pytest.approx(89 / 25.4 * 72, abs=0.5)


def test_text_and_labels_keep_their_place_and_sign(small_prediction):
    before = maps.flux_map(small_prediction["flux"])
    labels = [t.get_text() for t in before.axes[-1].get_xticklabels()]
    places = [t.get_window_extent().width / before.bbox.width for t in before.texts]
    after = Finish(size=60, cmap="RdBu_r").apply(before)
    assert [t.get_text() for t in after.axes[-1].get_xticklabels()] == labels
    assert any(label.startswith("+") for label in labels)
    scaled = [t.get_window_extent().width / after.bbox.width for t in after.texts]
    np.testing.assert_allclose(scaled, places, rtol=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--cmap", "nosuch"), "colour map of matplotlib"),
        (("--font", "No Such Font"), "font of this computer"),
        (("--size", 5), "a width of 40 to 1200 mm, found 5"),
        (("--dpi", 5), "50 to 1200 pixels to the inch"),
        (("--projection", "+proj=nosuch"), "or a PROJ string"),
        (("--projection", "+proj=longlat"), "expected a projected CRS"),
        (("--kind", "biomes", "--cmap", "RdBu_r"), "found one of classes"),
    ],
)
def test_what_there_is_not_is_refused(small_prediction, in_process, tmp_path, options, message):
    small_prediction.to_netcdf(tmp_path / "in.nc")
    done = in_process("map", tmp_path / "in.nc", tmp_path / "out.png", *options)
    assert done.returncode != 0
    assert message in done.stderr
    assert not (tmp_path / "out.png").exists()


def test_a_proj_string_is_a_projection(small_prediction):
    flux = small_prediction["flux"]
    laea = "+proj=laea +lat_0=42 +lon_0=-98.5 +datum=WGS84"
    figure = maps.flux_map(flux, projection=laea)
    x, y = figure.axes[0].projection.transform_point(-98.5, 42, maps_plate())
    assert (x, y) == pytest.approx((0, 0), abs=1e-6)
    with pytest.raises(UsageError, match="or a PROJ string"):
        maps.flux_map(flux, projection="nosuch")


def maps_plate():
    import cartopy.crs as ccrs

    return ccrs.PlateCarree()

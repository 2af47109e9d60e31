"""Months as a moving picture: GIF, or MP4 where ffmpeg is installed."""

from __future__ import annotations

import io
import shutil
import subprocess  # for ffmpeg, without a shell # nosec B404
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.core.files import atomic_path
from narcf_geo.core.lock import hold_output
from narcf_geo.figures.layout import Scale
from narcf_geo.figures.maps import flux_map
from narcf_geo.figures.panels import drawable
from narcf_geo.figures.style import in_256_colors

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

SUFFIXES = (".gif", ".mp4")


def month_frames(
    flux: xr.DataArray,
    *,
    title: str = "Net CO₂ flux",
    area: xr.DataArray | None = None,
    limit: float | None = None,
    projection: str = "auto",
    synthetic: str | None = None,
) -> Iterator[Figure]:
    """Yield a map a month, all on one colour scale; see `save_frames`.

    Parameters
    ----------
    flux : xarray.DataArray
        (time, lat, lon), umol m-2 s-1.
    title, area, limit, projection, synthetic
        As for `maps.flux_map`.
    """
    flux, area = drawable(flux, area)
    limit = Scale.of_flux(flux.values, limit).limit
    note = synthetic if synthetic is not None else str(flux.attrs.get("synthetic", ""))
    for month in flux:
        yield flux_map(
            month, title=title, area=area, limit=limit, projection=projection, synthetic=note
        )


def save_frames(
    frames: Iterable[Figure], path: str | PathLike[str], dpi: int = 90, ms: int = 500
) -> Path:
    """Write figures of one size as a moving picture, `ms` milliseconds each.

    Raises
    ------
    UsageError
        When the suffix is none of `SUFFIXES`.
    NarcfError
        When there is no frame, or no ffmpeg for an MP4.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise UsageError(
            f"expected an animation ending in {' or '.join(SUFFIXES)}, found {path.name!r}"
        )
    if path.suffix == ".mp4" and shutil.which("ffmpeg") is None:
        raise NarcfError(
            "expected the program ffmpeg to write an MP4, found none on the PATH; install it "
            "(Debian: apt-get install ffmpeg) or name a file ending in .gif"
        )
    images = [_image(figure, dpi) for figure in frames]
    if not images:
        raise NarcfError("expected at least one month to animate, found none; check the period")
    with hold_output(path), atomic_path(path) as temporary:
        (_write_gif if path.suffix == ".gif" else _write_mp4)(images, temporary, ms)
    return path


def _image(figure: Figure, dpi: int) -> Image:
    from PIL.Image import open as open_image

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return open_image(buffer).convert("RGB")


def _write_gif(images: list[Image], path: Path, ms: int) -> None:
    from PIL.Image import Dither

    # The palette of the first frame serves all: its colour bar has every colour.
    first = in_256_colors(images[0])
    others = [image.quantize(palette=first, dither=Dither.NONE) for image in images[1:]]
    first.save(path, save_all=True, append_images=others, duration=ms, loop=0, format="GIF")


def _write_mp4(images: list[Image], path: Path, ms: int) -> None:
    # H.264 in yuv420p, which every player reads, wants sides of an even number of pixels.
    width, height = (side - side % 2 for side in images[0].size)
    command = ["ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-video_size", f"{width}x{height}", "-framerate", f"{1000 / ms:g}", "-i", "-"]
    command += ["-c:v", "libx264", "-crf", "18", "-pix_fmt", "yuv420p", "-movflags", "+faststart"]
    command += ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-f", "mp4", str(path.resolve())]
    even = (image.crop((0, 0, width, height)) for image in images)
    # A list of our own words and one absolute path, which is no option and no address.
    done = subprocess.run(  # noqa: S603 # nosec B603
        command, input=b"".join(image.tobytes() for image in even), capture_output=True, check=False
    )
    if done.returncode:
        raise NarcfError(f"ffmpeg could not write {path.suffix}: {done.stderr.decode().strip()}")

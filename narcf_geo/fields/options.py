"""Options of a catalog for the library that reads a format."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from narcf_geo.core.errors import UsageError

if TYPE_CHECKING:
    from narcf_geo.fields.formats import Opening

_DECODING = frozenset(
    (
        "decode_cf",
        "decode_coords",
        "decode_times",
        "decode_timedelta",
        "mask_and_scale",
        "use_cftime",
        "concat_characters",
        "drop_variables",
    )
)
_OPTIONS = {
    "netcdf": _DECODING | {"engine", "group"},
    "zarr": _DECODING | {"consolidated", "group", "zarr_format", "zarr_version"},
    "rasterio": frozenset({"mask_and_scale", "masked", "parse_coordinates", "group", "variable"}),
    "grib": _DECODING | {"engine", "backend_kwargs"},
}
"""Keys of ``xarray_kwargs`` for each driver; others could lead elsewhere or run code."""

_ENGINES = ("netcdf4", "h5netcdf", "scipy", "cfgrib")
_GRIB_KEYS = ("filter_by_keys", "read_keys", "squeeze", "encode_cf")
_CSV = frozenset(
    (
        "sep",
        "delimiter",
        "header",
        "names",
        "index_col",
        "usecols",
        "dtype",
        "skiprows",
        "skipfooter",
        "nrows",
        "skipinitialspace",
        "na_values",
        "keep_default_na",
        "parse_dates",
        "date_format",
        "decimal",
        "thousands",
        "comment",
        "quotechar",
        "encoding",
        "encoding_errors",
        "engine",
    )
)


def require_options(driver: str, how: Opening, where: object) -> None:
    """Refuse options of a catalog that lead a library to other files or let it run code.

    Raises
    ------
    UsageError
        When there are some; the message names what is known.
    """
    backend = how.xarray_kwargs.get("backend_kwargs", {})
    given: dict[str, tuple[Iterable[Any], Iterable[str]]] = {
        "xarray_kwargs": (how.xarray_kwargs, _OPTIONS.get(driver, ["engine"])),
        "csv_kwargs": (how.csv_kwargs, _CSV),
        "xarray_kwargs.backend_kwargs": (backend, _GRIB_KEYS),
    }
    for name, (keys, known) in given.items():
        if wrong := sorted(set(map(str, keys)) - set(known)):
            raise UsageError(
                f"{where}: {name}: expected keys among {', '.join(sorted(known))} for the driver "
                f"{driver}, found {', '.join(wrong):.200}"
            )
    engine = how.xarray_kwargs.get("engine", _ENGINES[0])
    if engine not in _ENGINES:
        raise UsageError(
            f"{where}: xarray_kwargs: expected an engine among {', '.join(_ENGINES)}, found "
            f"{str(engine)!r:.80}"
        )

"""What a catalog file may say: intake's layout, with our keys under each entry's ``metadata``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from narcf_geo.yamlfile import Schema

Role = Literal["predictor", "target", "reference", "truth", "landcover"]
Legend = Literal["igbp_water0", "igbp_water17"]
Driver = Literal["netcdf", "zarr", "rasterio", "csv"]


class VariableEntry(Schema):
    """How a canonical variable is found in the native file."""

    name: str | None = Field(None, description="name in the file; default: the canonical name")
    units: str | None = Field(None, description="unit of the values, where the file states none")
    scale: float = Field(1.0, description="values in the file times this are in `units`")
    select: dict[str, int | float | str] = Field({}, description="labels along other dimensions")
    month: int | None = Field(None, ge=1, le=12, description="this month alone, as a static field")


class Metadata(Schema):
    """Our keys: what the data are, in the terms of the field."""

    product: str = "generic"
    role: Role
    variables: dict[str, VariableEntry] = {}
    sign: Literal["to_atmosphere", "uptake"] = "to_atmosphere"
    legend: Legend | None = None
    climatology: bool = Field(False, description="12 months that stand for every year")
    time: str | None = Field(
        None, pattern=r"^\d{4}-\d{2}$", description="month of a file without one"
    )
    companion: str | None = Field(None, description="file with the coordinates of a vector product")
    synthetic: str | None = Field(None, description="said on figures and in files")
    url: str | None = None
    licence: str | None = None
    citation: str | None = None
    doi: str | None = None


class Arguments(Schema):
    """Arguments of the driver."""

    urlpath: str | list[str]
    chunks: dict[str, int] | None = None
    xarray_kwargs: dict[str, Any] = {}
    csv_kwargs: dict[str, Any] = {}


class Parameter(Schema):
    """A value the user may set, as ``{{ name }}`` in `urlpath`."""

    description: str = ""
    type: Literal["str"] = "str"
    default: str | None = None


class SourceEntry(Schema):
    """One source."""

    description: str
    driver: Driver
    args: Arguments
    parameters: dict[str, Parameter] = {}
    metadata: Metadata


class CatalogFile(Schema):
    """A whole catalog file."""

    metadata: dict[str, Any] = {}
    sources: dict[str, SourceEntry] = Field(min_length=1)

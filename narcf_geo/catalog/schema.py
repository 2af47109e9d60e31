"""What a catalog file may say: intake's layout, with our keys under each entry's ``metadata``."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from narcf_geo.core.addresses import address_problem, is_address
from narcf_geo.core.yamlfile import Schema

Role = Literal["predictor", "target", "reference", "truth", "landcover"]
Legend = Literal["igbp_water0", "igbp_water17"]
Driver = Literal["netcdf", "zarr", "rasterio", "csv", "ascii", "grib", "hdf4"]
FLUXES = {"flux", "bio_flux", "fire_flux"}


def _name(text: str) -> str:
    # A name becomes the name of a file, and a dot tells the entries of a nested catalog.
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", text):
        raise ValueError(
            "expected a name of at most 64 letters, digits, - and _ that starts with a letter"
        )
    return text


def _file_name(text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or "\\" in text or not text.strip("./"):
        raise ValueError("expected a file name below the entry's folder, without '..' or a root")
    return text


def _local(text: str) -> str:
    if is_address(text):
        raise ValueError("expected a path on this computer, found an address")
    return text


def _web(text: str) -> str:
    if not re.match(r"https?://[^/\s]+/", text):
        raise ValueError("expected an address that starts with https:// (or http://)")
    return text


def _sha256(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError("expected a SHA-256 checksum of 64 hexadecimal digits in lower case")
    return text


Name = Annotated[str, AfterValidator(_name)]
FileName = Annotated[str, AfterValidator(_file_name)]
LocalPath = Annotated[str, AfterValidator(_local)]
WebAddress = Annotated[str, AfterValidator(_web)]
Sha256 = Annotated[str, AfterValidator(_sha256)]


class VariableEntry(Schema):
    """How a canonical variable is found in the native file."""

    name: str | None = Field(None, description="name in the file; default: the canonical name")
    units: str | None = Field(None, description="unit of the values, where the file states none")
    of: Literal["C", "CO2"] | None = Field(
        None, description="what a mass is of, where its unit does not say"
    )
    scale: float = Field(1.0, description="values in the file times this are in `units`")
    missing: list[float] = Field([], description="values in the file that stand for no value")
    land_fraction: str | Literal[1] | None = Field(
        None,
        description="share of land in each cell: a flux is for each area of land and is multiplied "
        "by it; 1 takes the values as they are",
    )
    select: dict[str, int | float | str] = Field({}, description="labels along other dimensions")
    month: int | None = Field(None, ge=1, le=12, description="this month alone, as a static field")
    valid_range: tuple[float, float] | None = Field(
        None, description="plausible values, in the canonical unit"
    )


class Fetch(Schema):
    """Where the files can be had; ``{year}`` and ``{month}`` are filled in for `period`."""

    url: WebAddress | list[WebAddress]
    period: tuple[str, str] | None = Field(None, description="first and last month, YYYY-MM")
    folder: str | None = Field(None, description="where to put them; default: that of urlpath")
    login: Literal["earthdata"] | None = None
    unpack: bool = Field(False, description="unpack the zip or tar files beside themselves")

    @model_validator(mode="after")
    def _period_is_months(self) -> Fetch:
        if self.period and not all(re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", m) for m in self.period):
            raise ValueError(f"period: expected [YYYY-MM, YYYY-MM], found {list(self.period)}")
        urls = [self.url] if isinstance(self.url, str) else self.url
        if self.period is None and any("{" in url for url in urls):
            raise ValueError("expected `period: [YYYY-MM, YYYY-MM]` to fill the pattern in url")
        for url in urls:
            unknown = set(re.findall(r"\{(.*?)\}", url)) - {"year", "month"}
            if unknown:
                raise ValueError(f"url: expected {{year}} or {{month}}, found {sorted(unknown)}")
        return self

    def urls(self) -> list[str]:
        """Return the addresses, their patterns filled in for each month of the period."""
        patterns = [self.url] if isinstance(self.url, str) else self.url
        if self.period is None:
            return patterns
        (y, m), (last_year, last_month) = (map(int, text.split("-")) for text in self.period)
        months = range(12 * y + m - 1, 12 * last_year + last_month)
        filled = [
            pattern.replace("{year}", f"{n // 12:04d}").replace("{month}", f"{n % 12 + 1:02d}")
            for pattern in patterns
            for n in months
        ]
        return list(dict.fromkeys(filled))


class Metadata(Schema):
    """Our keys: what the data are, in the terms of the field."""

    product: str = "generic"
    role: Role
    variables: dict[str, VariableEntry] = {}
    sign: Literal["to_atmosphere", "uptake"] | None = Field(
        None, description="what positive means; by default what the file says of itself"
    )
    legend: Legend | None = None
    climatology: bool = Field(False, description="12 months that stand for every year")
    monthly_mean: float | None = Field(
        None,
        gt=0,
        le=1,
        description="average finer time steps to months, of which this share must be covered",
    )
    time: str | None = Field(
        None,
        pattern=r"^(\d{4}-(0[1-9]|1[0-2])|UNKNOWN)$",
        description="month of a file without one; UNKNOWN in a draft until it is stated",
    )
    crs: str | None = Field(
        None, max_length=5000, description="of x and y, where the file states none: EPSG:5070, WKT"
    )
    companion: LocalPath | None = Field(
        None, description="file with the coordinates of a vector product"
    )
    synthetic: str | None = Field(None, description="said on figures and in files")
    url: str | None = None
    fetch: Fetch | None = None
    sha256: dict[FileName, Sha256] = {}
    licence: str | None = None
    citation: str | None = None
    doi: str | None = None

    @model_validator(mode="after")
    def _one_flux(self) -> Metadata:
        if self.role in ("target", "reference", "truth"):
            fluxes = FLUXES & set(self.variables)
            if "flux" not in fluxes and fluxes != {"bio_flux", "fire_flux"}:
                raise ValueError(
                    f"variables: a {self.role} needs `flux` (or `bio_flux` and `fire_flux`, which "
                    "are summed)"
                )
            if "flux" in fluxes and len(fluxes) > 1:
                parts = ", ".join(sorted(fluxes - {"flux"}))
                raise ValueError(
                    f"variables: two {self.role}s: `flux` and {parts}; keep `flux`, or the parts "
                    "that are to be summed"
                )
        if self.climatology and (self.time or self.monthly_mean):
            raise ValueError("climatology excludes `time` and `monthly_mean`")
        return self


class StorageOptions(Schema):
    """How a bucket is read."""

    anon: bool = Field(False, description="without credentials, as public buckets are")
    endpoint_url: WebAddress | None = Field(None, description="an S3 service other than Amazon's")


class Arguments(Schema):
    """Arguments of the driver."""

    urlpath: str | list[str]
    storage_options: StorageOptions = StorageOptions()
    chunks: dict[str, int] | None = None
    xarray_kwargs: dict[str, Any] = {}
    csv_kwargs: dict[str, Any] = {}

    @model_validator(mode="after")
    def _some_path(self) -> Arguments:
        if not self.urlpath or not all(self.urlpaths):
            raise ValueError("urlpath: expected a path, found an empty one")
        return self

    @property
    def urlpaths(self) -> list[str]:
        """The path or paths, as a list."""
        return [self.urlpath] if isinstance(self.urlpath, str) else self.urlpath


class Parameter(Schema):
    """A value the user may set, as ``{{ name }}`` in `urlpath`."""

    description: str = ""
    type: Literal["str", "int", "float"] = "str"
    default: str | int | float | None = None
    allowed: list[str | int | float] | None = None


class SourceEntry(Schema):
    """One source."""

    description: str
    driver: Driver
    args: Arguments
    parameters: dict[str, Parameter] = {}
    metadata: Metadata

    @field_validator("args")
    @classmethod
    def _addresses_can_be_read(cls, args: Arguments, info: ValidationInfo) -> Arguments:
        # An address that begins with a template is looked at when that is filled in.
        for urlpath in filter(is_address, args.urlpaths):
            text = re.sub(r"\{\{.*?\}\}", "template", urlpath)
            if problem := address_problem(text, info.data.get("driver", "")):
                raise ValueError(f"urlpath: {problem}")
        return args


class NestedArguments(Schema):
    """Where the nested catalog is."""

    path: LocalPath


class NestedEntry(Schema):
    """Another catalog, its entries known here as ``name.entry``."""

    description: str = ""
    driver: Literal["yaml_file_cat"]
    args: NestedArguments
    metadata: dict[str, Any] = {}


AnyEntry = Annotated[SourceEntry | NestedEntry, Field(discriminator="driver")]


class FileMetadata(Schema):
    """Keys of the catalog as a whole."""

    version: Literal[1] = 1
    extends: LocalPath | list[LocalPath] = Field(
        [], description="catalogs whose entries are here too where not given anew, or `packaged`"
    )


class CatalogFile(Schema):
    """A whole catalog file."""

    name: str = ""
    description: str = ""
    metadata: FileMetadata = FileMetadata()
    sources: dict[Name, AnyEntry] = Field(min_length=1)

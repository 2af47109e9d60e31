"""Every malformed bundle is a sentence that names the file and the field, and runs nothing."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from tiny_cube import tiny_settings

from narcf_geo.core.errors import NarcfError
from narcf_geo.model.bundle import Bundle
from narcf_geo.model.fit import fit_bundle
from narcf_geo.model.network import keras_file
from narcf_geo.model.network.network import Network
from narcf_geo.statistics.applicability import Applicability

MODEL = {
    "preset": "narcf-published",
    "hidden": (6, 5),
    "epochs": 2,
    "batch_size": 64,
    "members": 2,
    "halves": True,
}


@pytest.fixture(scope="module")
def model(cube: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("bundle") / "model"
    fit_bundle(cube, tiny_settings("temp", "static", model=MODEL), directory)
    return directory


@pytest.fixture
def copy(model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model, tmp_path / "model"))


def used(directory: Path) -> None:
    """Read everything of a bundle."""
    bundle = Bundle.load(directory)
    names = bundle.features.names
    bundle.estimate(np.zeros((3, len(names)), np.float32))
    _ = bundle.applicability, bundle.errors, bundle.factors, repr(bundle)
    bundle._repr_markdown_()


def refused(directory: Path, name: str, *words: str) -> None:
    """Hold a bundle to be refused in words that name the file."""
    with pytest.raises(NarcfError) as caught:
        used(directory)
    text = str(caught.value)
    assert str(directory / name) in text
    for word in words:
        assert word in text, text
    assert not re.search(r"\(\)|None\)$", text)


def signed(directory: Path, name: str) -> None:
    """Give a changed file its checksum: whoever changes one can change the other."""
    path = directory / "bundle.json"
    content = json.loads(path.read_text())
    digest = hashlib.sha256((directory / name).read_bytes()).hexdigest()
    content["members" if name.endswith(".keras") else "files"][name] = digest
    path.write_text(json.dumps(content))


def test_it_is_read_as_it_was_written(copy: Path) -> None:
    used(copy)
    for name in ("member_0.keras", "errors.nc", "applicability.npz"):
        signed(copy, name)
    used(copy)


def at(content: Any, path: str, value: Any) -> None:
    """Set or, to ..., remove what stands at a dotted path."""
    *inner, last = path.split(".")
    for part in inner:
        content = content[part]
    if value is ...:
        del content[last]
    else:
        content[last] = value


FIELDS = {
    "version": ("bundle_version", "2", "version 2"),
    "later version": ("bundle_version", 3, "version 3, expected 2 or 1"),
    "no features": ("features", ..., "features: Field required"),
    "features are a list": ("features", [], "features"),
    "no units": ("features.units", [], "unit for each of 2 predictors, found 0"),
    "a name twice": ("features.predictors", ["temp", "temp"], "each name once"),
    "other biome": ("features.biome", "map", "features.biome"),
    "masked unknown": ("features.masked", ["rain"], "rain"),
    "derived of code": ("features.derived", {"temp": {"of": "__import__"}}, "features.derived"),
    "no members": ("members", {}, "members"),
    "members are a list": ("members", ["member_0.keras"], "members"),
    "out of the folder": ("members", {"../member_0.keras": "0" * 64}, "members.../member_0.keras"),
    "absolute": ("members", {"/etc/passwd": "0" * 64}, "members./etc/passwd"),
    "no hash": ("members", {"member_0.keras": "abc"}, "members.member_0.keras"),
    "too many members": ("members", {f"member_{k}.keras": "0" * 64 for k in range(101)}, "100"),
    "one member fewer": ("recipe.members", 3, "recipe.members: expected one for each of 2 members"),
    "history of one": ("history", [], None),
    "other file": ("files", {"narcf.yaml": "0" * 64}, "files.narcf.yaml"),
    "noise as text": ("noise", "much", "noise"),
    "noise below 0": ("noise", -1.0, "noise"),
    "calibration of another level": ("calibration", {"1.5": 2.0}, "calibration.1.5"),
    "calibration below 0": ("calibration", {"0.95": -2.0}, "calibration.0.95"),
    "flux error of others": ("recipe.halves", False, "flux_error: expected it of members that"),
    "size below 0": ("flux_error.noise", -0.1, "flux_error.noise"),
    "size as text": ("flux_error.apart", "little", "flux_error.apart"),
    "factor of another level": ("flux_error.factors", {"2": 1.0}, "flux_error.factors"),
    "no factors": ("flux_error.factors", {}, "flux_error.factors"),
    "recipe": ("recipe", 3, "recipe"),
    "hidden": ("recipe.hidden", 8, "recipe.hidden"),
    "settings": ("settings", [1], "settings"),
    "model of the settings": ("settings.model", "best", "settings.model"),
    "metrics": ("metrics", {"test": 1}, "metrics.test"),
    "range": ("training_range", {"temp": [1]}, "training_range.temp"),
    "grid": ("grid", {"lat": {"first": 1}}, "grid.lat.last"),
    "target": ("target", {"units": ["a"]}, "target.units"),
}  # fmt: skip


@pytest.mark.parametrize("what", FIELDS)
def test_a_field(copy: Path, what: str) -> None:
    key, value, words = FIELDS[what]
    path = copy / "bundle.json"
    content = json.loads(path.read_text())
    at(content, key, value)
    path.write_text(json.dumps(content))
    if words is None:
        used(copy)
    else:
        refused(copy, "bundle.json", words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot be read as JSON"),
        ("[]", "found a list"),
        ("null", "found a NoneType"),
        ("3", "found a int"),
        ('{"bundle_version": 2', "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ('{"bundle_version": 2, "noise": NaN}', "NaN is no number"),
        ('{"bundle_version": 2, "noise": 1e999, "members": {}}', "features"),
        ("\x00\xff", "cannot be read as JSON"),
        (" " * (2**24 + 1), "bytes, expected at most"),
    ],
)
def test_a_text(copy: Path, text: str, words: str) -> None:
    (copy / "bundle.json").write_bytes(text.encode("latin-1"))
    refused(copy, "bundle.json", words)


def rewritten(directory: Path, change: Callable[[dict[str, bytes]], Any], **how: Any) -> None:
    """Change the parts of the first member."""
    path = directory / "member_0.keras"
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    with zipfile.ZipFile(path, "w", **how) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    signed(directory, path.name)


def config(change: Callable[[list[dict[str, Any]]], Any]) -> Callable[[dict[str, bytes]], None]:
    """Return a change of the layers in the configuration."""

    def of(parts: dict[str, bytes]) -> None:
        content = json.loads(parts["config.json"])
        change(content["config"]["layers"])
        parts["config.json"] = json.dumps(content).encode()

    return of


def weights(change: Callable[[h5py.File], Any]) -> Callable[[dict[str, bytes]], None]:
    """Return a change of the weights."""

    def of(parts: dict[str, bytes]) -> None:
        buffer = io.BytesIO(parts["model.weights.h5"])
        with h5py.File(buffer, "r+") as file:
            change(file)
        parts["model.weights.h5"] = buffer.getvalue()

    return of


def replaced(name: str, **how: Any) -> Callable[[h5py.File], None]:
    def of(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, **how)

    return of


def linked(link: Any) -> Callable[[h5py.File], None]:
    def of(file: h5py.File) -> None:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = link

    return of


def filled(name: str, value: float) -> Callable[[h5py.File], None]:
    return lambda file: file[name].__setitem__(..., value)


LAMBDA = {
    "module": "keras.layers",
    "class_name": "Lambda",
    "config": {
        "name": "evil",
        "function": {"class_name": "__lambda__", "config": {"code": "4w=="}},
    },
    "registered_name": None,
}
KERNEL, VARIANCE = "layers/dense/vars/0", "layers/batch_normalization/vars/3"
MEMBERS: dict[str, tuple[Callable[[dict[str, bytes]], Any], str]] = {
    "a Lambda layer": (config(lambda layers: layers.insert(2, LAMBDA)), "Lambda"),
    "a custom class": (config(lambda ls: ls[2].update(registered_name="evil>Dense")), "Dense"),
    "a class of a module": (config(lambda ls: ls[2].update(module="os.path")), "Dense"),
    "a class of another kind": (config(lambda ls: ls[2].update(class_name=["Dense"])), "layer 2"),
    "no layer": (config(lambda layers: layers.clear()), "1 to 1,000 layers"),
    "layers of text": (config(lambda layers: layers.insert(0, "Dense")), "layer 0"),
    "other activation": (config(lambda ls: ls[2]["config"].update(activation="exp")), "activation"),
    "units as text": (config(lambda ls: ls[2]["config"].update(units="6")), "units"),
    "other units": (config(lambda ls: ls[2]["config"].update(units=7)), "expected shape"),
    "too many units": (config(lambda ls: ls[2]["config"].update(units=10**12)), "units"),
    "no first normalisation": (config(lambda ls: ls.pop(1)), "Normalization layer first"),
    "mean of text": (config(lambda ls: ls[1]["config"].update(mean=["a"])), "could not convert"),
    "mean of another size": (config(lambda ls: ls[1]["config"].update(mean=[1.0])), "shape"),
    "mean is NaN": (
        config(lambda ls: ls[1]["config"].update(mean=[np.nan] * 20)),
        "NaN or infinity",
    ),
    "variance below 0": (
        config(lambda ls: ls[1]["config"].update(variance=[-1.0] * 20)),
        "variances of at least 0",
    ),
    "last layer": (config(lambda layers: layers.pop()), "Dense layer of 1 or 2 outputs last"),
    "configuration is a list": (lambda parts: parts.update({"config.json": b"[]"}), "Sequential"),
    "configuration is nothing": (lambda parts: parts.update({"config.json": b""}), "config"),
    "deep configuration": (lambda parts: parts.update({"config.json": b"[" * 10**5}), "config"),
    "no weights": (lambda parts: parts.pop("model.weights.h5"), "model.weights.h5"),
    "another entry": (lambda parts: parts.update({"../evil": b""}), "../evil"),
    "weights of text": (lambda parts: parts.update({"model.weights.h5": b"text"}), "keras"),
    "weights cut short": (
        lambda parts: parts.update({"model.weights.h5": parts["model.weights.h5"][:5000]}),
        "keras",
    ),
    "NaN": (weights(filled(KERNEL, np.nan)), "dense: expected finite weights"),
    "infinity": (weights(filled("layers/dense/vars/1", np.inf)), "dense: expected finite"),
    "variance of a batch below 0": (weights(filled(VARIANCE, -1)), "batch_normalization"),
    "other shape": (weights(replaced(KERNEL, data=np.ones((3, 3), "f4"))), "expected shape"),
    "integers": (weights(replaced(KERNEL, data=np.ones((20, 6), int))), "floating-point"),
    "text": (weights(replaced(KERNEL, data="text")), "floating-point"),
    "too large": (
        weights(replaced(KERNEL, data=np.full((20, 6), 1e300))),
        "too large for single precision",
    ),
    "vast": (weights(replaced(KERNEL, shape=(10**7, 10**7), dtype="f4", chunks=(1, 1))), "itself"),
    "one missing": (weights(lambda file: file.__delitem__(KERNEL)), KERNEL),
    "a group for an array": (weights(linked(h5py.SoftLink("/layers"))), KERNEL),
    "another file": (weights(linked(h5py.ExternalLink("/etc/passwd", "/x"))), KERNEL),
    "values of another file": (
        weights(replaced(KERNEL, shape=(20, 6), dtype="f4", external=[("/etc/passwd", 0, 480)])),
        "in the file itself",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", MEMBERS)
def test_a_member(copy: Path, what: str) -> None:
    change, words = MEMBERS[what]
    rewritten(copy, change)
    refused(copy, "member_0.keras", words)


def test_a_bomb(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rewritten(copy, lambda parts: None, compression=zipfile.ZIP_DEFLATED)
    refused(copy, "member_0.keras", "not compressed")
    monkeypatch.setattr(keras_file, "MAX_BYTES", 10_000)
    refused(copy, "member_0.keras", "expected at most 10,000")


@pytest.mark.parametrize("name", ["member_0.keras", "applicability.npz", "errors.nc"])
@pytest.mark.parametrize("data", [b"", b"text", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", None])
def test_another_file_in_its_place(copy: Path, name: str, data: bytes | None) -> None:
    path = copy / name
    refused_by = path.read_bytes()[:300] if data is None else data
    path.write_bytes(refused_by)
    refused(copy, name, "was changed after training")
    signed(copy, name)
    refused(copy, name, "train")


@pytest.mark.parametrize("name", ["bundle.json", "member_0.keras", "errors.nc"])
def test_what_is_no_file(copy: Path, name: str, tmp_path: Path) -> None:
    path = copy / name
    kept = path.rename(tmp_path / name)
    path.mkdir()
    refused(copy, name, "regular file")
    path.rmdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)
        refused(copy, name, "regular file")
        path.unlink()
    if name != "bundle.json":
        path.symlink_to(kept)
        refused(copy, name, "found a link to")
    if name == "errors.nc":  # without its checksum too
        content = json.loads((copy / "bundle.json").read_text())
        (copy / "bundle.json").write_text(json.dumps({**content, "files": {}}))
        refused(copy, name, "found a link to")


ARRAYS: dict[str, tuple[dict[str, Any], str]] = {
    "pickle": ({"mean": np.array([{}], dtype=object)}, "float32 or float64"),
    "text": ({"std": np.array(["a"])}, "std: expected numbers"),
    "NaN": ({"threshold": np.array(np.nan)}, "threshold: expected finite"),
    "below 0": ({"std": -np.ones(20, "f4")}, "std: expected numbers of at least 0"),
    "other shape": ({"std": np.ones(3, "f4")}, "std: expected shape"),
    "other features": (
        {n: np.ones(3, "f4") for n in ("mean", "std", "weights")}
        | {n: np.ones((5, 3), "f4") for n in ("prototypes", "rows")}
        | {"start": np.arange(6.0)},
        "for 3 features, bundle.json names 20",
    ),
    "no prototypes": ({"prototypes": np.ones((0, 20), "f4")}, "prototypes"),
    "rows out of reach": ({"start": np.array([0.0, 1e6])}, "start"),
    "no distance": ({"mean_distance": np.array(0.0)}, "mean_distance"),
    "another array": ({"more": np.ones(3)}, "more.npy"),
}


@pytest.mark.parametrize("what", ARRAYS)
def test_an_area_of_applicability(copy: Path, what: str) -> None:
    changes, words = ARRAYS[what]
    path = copy / "applicability.npz"
    with np.load(path) as found:
        arrays = dict(found)
    np.savez(path, **arrays | changes)
    signed(copy, path.name)
    refused(copy, path.name, words)


def test_an_array_that_says_it_is_vast(copy: Path) -> None:
    path = copy / "applicability.npz"
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    header = io.BytesIO()
    vast = {"descr": "<f4", "fortran_order": False, "shape": (10**7, 10**7)}
    np.lib.format.write_array_header_1_0(header, vast)
    parts["mean.npy"] = header.getvalue() + bytes(80)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    signed(copy, path.name)
    refused(copy, path.name, "mean: expected (10000000, 10000000) values")


ERRORS: dict[str, tuple[Callable[[xr.Dataset], xr.Dataset], str]] = {
    "no scale": (lambda ds: ds.drop_vars("scale"), "no scale"),
    "of text": (lambda ds: ds.assign(scale=ds["scale"].astype(str)), "scale: expected numbers"),
    "of a year of 11 months": (lambda ds: ds.isel(month=slice(11)), "12 months"),
    "in another order": (lambda ds: ds.transpose("lat", ...), "standardised_error"),
    "without months": (lambda ds: ds.drop_vars("time"), "no coordinate time"),
    "without length": (lambda ds: ds.drop_attrs(deep=False), "correlation_length_km"),
    "length of text": (lambda ds: ds.assign_attrs(block_degrees="wide"), "wide"),
    "blocks of NaN": (lambda ds: ds.assign_attrs(block_degrees=np.nan), "block_degrees"),
    "blocks of 5 months": (lambda ds: ds.assign_attrs(block_months=5), "divisor of 12"),
    "infinite": (lambda ds: ds.assign(scale=ds["scale"] + np.inf), "scale: expected no infinite"),
    "nowhere": (lambda ds: ds.assign_coords(lat=ds["lat"] * np.nan), "lat: expected finite"),
}


@pytest.mark.parametrize("what", ERRORS)
def test_an_error_model(copy: Path, what: str) -> None:
    change, words = ERRORS[what]
    path = copy / "errors.nc"
    ds = change(xr.load_dataset(path))
    path.unlink()
    ds.to_netcdf(path)
    signed(copy, path.name)
    refused(copy, path.name, words)


def test_a_disk_that_fails_is_no_reason_to_go_without_applicability(
    cube: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Applicability, path: Path) -> None:
        raise NarcfError(f"{path}: cannot be written (Input/output error)")

    monkeypatch.setattr(Applicability, "save", fails)
    with pytest.raises(NarcfError, match="cannot be written"):
        fit_bundle(cube, tiny_settings("temp", "static", model=MODEL), tmp_path / "model")


def test_members_that_differ(copy: Path) -> None:
    def two_outputs(file: h5py.File) -> None:
        replaced("layers/dense_2/vars/0", data=np.ones((5, 2), "f4"))(file)
        replaced("layers/dense_2/vars/1", data=np.ones(2, "f4"))(file)

    rewritten(copy, config(lambda layers: layers[-1]["config"].update(units=2)))
    rewritten(copy, weights(two_outputs))
    with pytest.raises(NarcfError, match="some with 1 and some with 2"):
        used(copy)


def test_saved_is_what_belongs_to_it(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of another folder")
    (copy / "notes.txt").symlink_to(tmp_path / "secret")
    saved = Bundle.load(copy).save(tmp_path / "saved")
    names = {p.name for p in saved.directory.iterdir()}
    assert names == {p.name for p in copy.iterdir()} - {"notes.txt"}
    used(saved.directory)


def test_keras_loads_a_member(model: Path) -> None:
    import keras

    path = model / "member_1.keras"
    network, theirs = Network.load(path), keras.saving.load_model(path)
    x = np.random.default_rng(1).normal(0, 1, (50, network.mean.size)).astype("f4")
    expected = theirs.predict(x, verbose=0)
    np.testing.assert_allclose(network(x), expected, atol=1e-5 * np.abs(expected).max())


def test_trained_twice_it_has_the_same_bytes(cube: xr.Dataset, model: Path, tmp_path: Path) -> None:
    settings = tiny_settings("temp", "static", model=MODEL)
    fit_bundle(cube, settings, tmp_path / "again")
    one, other = (
        {p.name: p.read_bytes() for p in d.iterdir()} for d in (model, tmp_path / "again")
    )
    assert {name for name in one if one[name] != other.get(name)} == set()
    assert one.keys() == other.keys()
    # The control: another seed.
    fit_bundle(cube, settings.model_copy(update={"seed": 1}), tmp_path / "seed")
    assert (tmp_path / "seed" / "member_0.keras").read_bytes() != one["member_0.keras"]


@pytest.mark.parametrize("place", ["/etc/errors.nc", "other.nc"])
def test_errors_in_another_file_are_not_read(copy: Path, place: str) -> None:
    (copy / "errors.nc").rename(copy / "other.nc")
    target = copy / place
    with h5py.File(copy / "errors.nc", "w") as file, h5py.File(copy / "other.nc") as other:
        for name in other:
            if name != "scale":
                other.copy(name, file)
        file.attrs.update(other.attrs)
        file["scale"] = h5py.ExternalLink(str(target), "/scale")
    signed(copy, "errors.nc")
    refused(copy, "errors.nc", "'scale'", "expected its values in this file", target.name)

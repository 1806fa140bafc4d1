"""GeoTIFF from the files of a satellite team to results, compared by rasterio."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.random import default_rng
from rasterio.control import GroundControlPoint
from rasterio.transform import Affine, from_origin

from img2img import Translator, translate_folder
from img2img.config import DataConfig, check, load_config
from img2img.data.check import check_data
from img2img.data.domains import resolve_domains
from img2img.data.paired import PairedData
from img2img.data.value_notices import value_facts, value_notices
from img2img.errors import ImageError
from img2img.images import Domain, Packing, Picture, Pixels, read_native_picture, write_image
from tests.conftest import Command
from tests.translate.test_masks import Negative, negative

PLACE = {"crs": "EPSG:32632", "transform": from_origin(5e5, 5e6, 10, 10)}
# Reflectance as Sentinel-2 has it, and kelvin as Landsat has it.
REFLECTANCE = Packing(
    dtype="uint16", scales=(1e-4,) * 2, offsets=(-0.1,) * 2, units=("", ""), nodata=0
)
KELVIN = Packing(dtype="uint16", scales=(0.00341802,), offsets=(149.0,), units=("K",), nodata=0)


def write(path: Path, bands: Pixels, packing: Packing | None = None, **options: Any) -> Path:
    """A tile of bands (channels, height, width) as rasterio writes it."""
    count, height, width = bands.shape
    path.parent.mkdir(parents=True, exist_ok=True)
    if packing:
        options.setdefault("nodata", packing.nodata)
    shape = {"count": count, "height": height, "width": width, "dtype": bands.dtype}
    with rasterio.open(path, "w", driver="GTiff", **shape, **{**PLACE, **options}) as file:
        file.write(bands)
        if packing:
            file.scales, file.offsets = packing.scales, packing.offsets
            file.units = packing.units
    return path


def numbers(count: int, side: int = 64, dtype: str = "uint16", low: int = 1) -> Pixels:
    """All numbers of 12 bits, those of 16 by steps, and a corner without data."""
    info = np.iinfo(dtype)
    bands = default_rng(0).integers(max(low, info.min), info.max, (count, side, side), dtype, True)
    bands[:, 0, :2] = [[info.max, max(low, info.min)]]
    bands[:, -8:, -8:] = 0
    return bands


def config(root: Path, **data: Any) -> DataConfig:
    tree = load_config("pix2pix").model_dump()
    tree["data"] |= {"root": root, **data}
    return check(tree).data


def resolved(root: Path, **data: Any) -> tuple[dict[str, Domain], str, list[str]]:
    """The domains of a set, the line on their values, and the notices."""
    configured = config(root, **data)
    report = check_data(PairedData, configured, 0)
    assert not report.problems
    domains = resolve_domains(configured, report.survey.values)
    values = report.survey.values
    return domains, value_facts(domains, values), [*value_notices(domains, values)]


def packed_domain(packing: Packing, low: float, high: float, *channels: str) -> Domain:
    names = channels or tuple(str(n + 1) for n in range(len(packing.scales)))
    return Domain(dtype=packing.values_dtype, channels=names, low=low, high=high, packing=packing)


class Same(Negative):
    """Gives what it is given."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.layer.weight.data *= -1


def unchanged(domain: Domain, path: Path) -> Path:
    """The result of a model that changes nothing."""
    spec = negative(domain).spec
    model = Translator(Same(len(domain.channels)), spec, device="cpu", precision="fp32")
    assert not translate_folder(model, path, path.parent / "same").failed
    return path.parent / "same" / path.name


class TestScaleAndOffset:
    @pytest.mark.parametrize(
        ("packing", "low", "high"),
        [
            (REFLECTANCE, -0.1, 6.4535),
            (KELVIN, 149, 149 + 65535 * 0.00341802),
            # Each band its own, also upside down.
            (
                Packing(
                    dtype="int16",
                    scales=(0.01, -0.5),
                    offsets=(0, 20.0),
                    units=("m", "dB"),
                    nodata=-32768,
                ),
                -16404.0,
                16404.0,
            ),
            # float32 would not keep the stored numbers apart.
            (
                Packing(dtype="uint16", scales=(1e-4,), offsets=(1e4,), units=("",), nodata=0),
                1e4,
                1e4 + 6.5535,
            ),
        ],
    )
    def test_stored_numbers_come_back(
        self, packing: Packing, low: float, high: float, tmp_path: Path
    ) -> None:
        given = numbers(len(packing.scales), dtype=packing.dtype, low=-32767)
        given[:, -8:, -8:] = packing.nodata
        given[:, 0, :2][given[:, 0, :2] == packing.nodata] = 1
        path = write(tmp_path / "in/a.tif", given, packing)
        made = unchanged(packed_domain(packing, low, high), path)
        with rasterio.open(path) as before, rasterio.open(made) as after:
            np.testing.assert_array_equal(after.read(), before.read())
            for key in ("crs", "transform", "nodata", "dtypes", "scales", "offsets"):
                assert getattr(after, key) == getattr(before, key), key
            assert [unit or "" for unit in after.units] == [*packing.units]

    def test_values_are_in_units(self, tmp_path: Path) -> None:
        given = numbers(2)
        picture = read_native_picture(write(tmp_path / "a.tif", given, REFLECTANCE))
        assert picture.pixels.dtype == np.float32
        assert picture.valid is not None
        assert (~picture.valid).sum() == 64
        units = np.moveaxis(given * 1e-4 - 0.1, 0, 2)
        np.testing.assert_allclose(picture.pixels[picture.valid], units[picture.valid], rtol=1e-6)
        assert (picture.pixels[~picture.valid] == 0).all()

    def test_a_codec_alone_writes_what_it_read(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.tif", numbers(2), REFLECTANCE)
        write_image(tmp_path / "b.tif", read_native_picture(path))
        with rasterio.open(path) as before, rasterio.open(tmp_path / "b.tif") as after:
            np.testing.assert_array_equal(after.read(), before.read())
            assert (after.scales, after.offsets) == (before.scales, before.offsets)
            assert after.nodata == 0

    def test_results_are_stored_as_the_targets(self, tmp_path: Path) -> None:
        """Reflectance in, kelvin out: the numbers that rasterio computes are the targets'."""
        path = write(tmp_path / "a.tif", numbers(1), REFLECTANCE.chosen([0]))
        kelvin = packed_domain(KELVIN, 200, 320, "temperature")
        model = negative(packed_domain(REFLECTANCE.chosen([0]), 0, 1), kelvin)
        translate_folder(model, path, tmp_path / "out")
        with rasterio.open(tmp_path / "out/a.tif") as file, rasterio.open(path) as given:
            assert file.dtypes == ("uint16",)
            assert (file.scales, file.offsets) == (KELVIN.scales, KELVIN.offsets)
            assert (file.units, file.nodata) == (("K",), 0)
            assert file.descriptions == ("temperature",)
            assert (file.crs, file.transform) == (given.crs, given.transform)
            made = file.read(1) * file.scales[0] + file.offsets[0]
            reflectance = (given.read(1) * 1e-4 - 0.1).clip(0, 1)
            there = given.read_masks(1) > 0
            np.testing.assert_array_equal(file.read_masks(1) > 0, there)
        wanted = 320 - 120 * reflectance
        assert abs(made - wanted)[there].max() <= KELVIN.scales[0] / 2 + 1e-4

    def test_no_value_becomes_nodata(self) -> None:
        values = np.array([[[-0.1, -0.1], [5, 5], [-0.1, 5]]])
        stored = REFLECTANCE.packed(values, np.array([[True, False, True]]))
        assert stored.tolist() == [[[1, 1], [0, 0], [0, 51000]]]
        top = REFLECTANCE.model_copy(update={"nodata": 65535})
        assert top.packed(np.full((1, 1, 2), 9.0)).tolist() == [[[65534, 65534]]]

    def test_a_unit_alone_changes_no_number(self, tmp_path: Path) -> None:
        metres = Packing.of("int16", [1.0], [0.0], ["m"], -999)
        assert metres is not None
        bands = numbers(1, dtype="int16", low=-500)
        bands[:, -8:, -8:] = -999
        path = write(tmp_path / "in/a.tif", bands, metres)
        picture = read_native_picture(path)
        assert picture.pixels.dtype == np.int16
        domain = Domain(
            dtype="int16", channels=("grey",), low=-32768, high=32767, nodata=-999, packing=metres
        )
        with rasterio.open(unchanged(domain, path)) as file:
            np.testing.assert_array_equal(file.read(), bands)
            assert (file.units, file.nodata) == (("m",), -999)

    @pytest.mark.parametrize(("scale", "offset"), [(0.0, 1.0), (np.nan, 0.0), (1.0, np.inf)])
    def test_that_are_none(self, scale: float, offset: float, tmp_path: Path) -> None:
        path = write(tmp_path / "a.tif", numbers(1))
        with rasterio.open(path, "r+") as file:
            file.scales, file.offsets = (scale,), (offset,)
        with pytest.raises(ImageError, match=r"a\.tif: .*band 1 has scale .* and offset"):
            read_native_picture(path)

    def test_without_a_place_on_the_ground(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Scaled all the same; and refused where nothing can."""
        place = {"crs": None, "transform": Affine.identity()}
        path = write(tmp_path / "a.tif", numbers(2), REFLECTANCE, **place)
        assert read_native_picture(path).pixels.dtype == np.float32
        monkeypatch.setattr("img2img.images.codecs.geotiff.has_module", lambda _: False)
        with pytest.raises(
            ImageError, match=r"scale and offset, which need rasterio: .*pip install"
        ):
            read_native_picture(path)

    def test_by_rows(self, tmp_path: Path) -> None:
        from img2img.images import open_rows, write_rows

        path = write(tmp_path / "a.tif", numbers(2), REFLECTANCE)
        with open_rows(path) as reader:
            size = reader.facts.size
            with write_rows(tmp_path / "b.tif", reader.head, size, reader.facts.dtype) as writer:
                for start in range(0, 64, 24):
                    writer.write(reader.read(start, min(start + 24, 64)))
        with rasterio.open(path) as before, rasterio.open(tmp_path / "b.tif") as after:
            np.testing.assert_array_equal(after.read(), before.read())
            assert after.scales == before.scales


class TestWhatASetSays:
    def pairs(self, root: Path, packing: Packing | None = None, count: int = 3, **B: Any) -> Path:
        for n in range(count):
            write(root / f"A/{n}.tif", numbers(2), REFLECTANCE)
            write(root / f"B/{n}.tif", numbers(1), packing, **B)
        return root

    def test_packing_is_of_the_domain(self, tmp_path: Path) -> None:
        domains, fact, notes = resolved(self.pairs(tmp_path, KELVIN))
        assert domains["A"].packing == REFLECTANCE
        assert domains["B"].packing == KELVIN
        assert domains["B"].ends[0] >= 149 - 0.05 * 225
        assert "float32 values -0.0999..6.4535" in fact
        assert "stored as uint16 * 0.0001 - 0.1" in fact
        assert "stored as uint16 * 0.00341802 + 149 in K" in fact
        assert not notes
        assert Domain.model_validate_json(domains["B"].model_dump_json()) == domains["B"]

    def test_files_that_store_differently(self, tmp_path: Path) -> None:
        root = self.pairs(tmp_path, KELVIN)
        other = KELVIN.model_copy(update={"offsets": (150.0,)})
        write(root / "B/2.tif", numbers(1), other)
        domains, _, notes = resolved(root)
        assert domains["B"].packing is None
        (note,) = notes
        assert note.startswith("B: files differ in their scales, offsets or units")
        for text in (r"uint16 \* 0.00341802 \+ 149 in K in \S*", r"\+ 150 in K in \S*2.tif"):
            assert re.search(text, note)
        assert note.endswith("all are read in units, and the model has none for its results")

    @pytest.mark.parametrize(("side", "nodata"), [("B", 0), ("B", 65535), ("A", 7)])
    def test_nodata_that_all_files_name(self, side: str, nodata: int, tmp_path: Path) -> None:
        for n in range(3):
            for each in "AB":
                named = nodata if each == side else None
                write(tmp_path / f"{each}/{n}.tif", numbers(1), nodata=named)
        domains, fact, notes = resolved(tmp_path)
        assert domains[side].nodata == nodata
        assert domains["AB".replace(side, "")].nodata is None
        assert f"nodata {nodata}" in fact
        assert not notes

    def test_nodata_that_files_disagree_on(self, tmp_path: Path) -> None:
        root = self.pairs(tmp_path, nodata=0)
        write(root / "B/1.tif", numbers(1), nodata=65535)
        write(root / "B/2.tif", numbers(1))
        domains, _, notes = resolved(root)
        assert domains["B"].nodata is None
        (note,) = notes
        assert note.startswith("B: files name different values for pixels without data")
        for text in (r"\b0 in \S+0.tif", r"65535 in \S+1.tif", r"none in \S+2.tif"):
            assert re.search(text, note)
        assert "unless `data.B.nodata` sets it" in note
        domains, _, notes = resolved(root, B={"nodata": 0})
        assert domains["B"].nodata == 0
        assert not notes

    def test_nodata_that_is_declared_in_vain(self, tmp_path: Path, img2img: Command) -> None:
        root = self.pairs(tmp_path / "set", nodata=0)
        line = "`data.B.nodata=-5`: no pixel of B has this value"
        assert [*resolved(root, B={"nodata": 65535})[2]] == []  # some pixel has it
        values = default_rng(0).random((1, 64, 64), np.float32)
        for n in range(3):
            write(root / f"B/{n}.tif", values)
        assert resolved(root, B={"nodata": -5})[2] == [line]
        told = img2img("data", "check", "--data", root, "--set", "data.B.nodata=-5")
        assert "no pixel of B has this value" in " ".join((told.out + told.err).split())


class TestColours:
    def test_descriptions_and_meanings_of_bands_stay(self, tmp_path: Path) -> None:
        from rasterio.enums import ColorInterp

        path = write(tmp_path / "in/a.tif", numbers(4))
        kinds = (ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.undefined)
        with rasterio.open(path, "r+") as file:
            file.descriptions = ("B02", "B03", "B04", "B08")
            file.colorinterp = kinds
        domain = Domain.of_type("uint16", ("B02", "B03", "B04", "B08"))
        with rasterio.open(unchanged(domain, path)) as file:
            assert file.descriptions == ("B02", "B03", "B04", "B08")
            assert file.colorinterp == kinds

    def test_opacity_stays_behind_colours_in_any_order(self, tmp_path: Path) -> None:
        from rasterio.enums import ColorInterp

        kinds = (ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.alpha)
        bands = np.concatenate([numbers(3), np.full((1, 64, 64), 65535, np.uint16)])
        path = write(tmp_path / "in/a.tif", bands, photometric="minisblack", alpha="yes")
        with rasterio.open(path, "r+") as file:
            file.colorinterp = kinds
        with rasterio.open(unchanged(Domain.of_type("uint16"), path)) as file:
            assert file.colorinterp == kinds
            np.testing.assert_array_equal(file.read(), bands)

    def test_bands_named_by_colour_are_shown_so(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.tif", numbers(3))
        domain = Domain.of_type("uint16", ("red", "green", "blue"))
        translate_folder(negative(Domain.of_type("uint16"), domain), path, tmp_path / "out")
        with rasterio.open(tmp_path / "out/a.tif") as file:
            assert [each.name for each in file.colorinterp] == ["red", "green", "blue"]
            assert file.descriptions == ("red", "green", "blue")


class TestLabels:
    LABELS = Domain(
        kind="labels",
        dtype="uint8",
        channels=("water", "wood", "town"),
        indexes=(1, 4, 9),
        palette=((0, 0, 255), (0, 128, 0), (200, 10, 10)),
    )

    def test_of_an_image(self, tmp_path: Path) -> None:
        """Where the image is, in the colours of the classes, and nothing where it has nothing."""
        path = write(tmp_path / "in/a.tif", numbers(3), nodata=0, tiled=True)
        model = negative(Domain.of_type("uint16"), self.LABELS)
        assert not translate_folder(model, path.parent, tmp_path / "out").failed
        with rasterio.open(tmp_path / "out/a.tif") as file, rasterio.open(path) as given:
            assert (file.crs, file.transform) == (given.crs, given.transform)
            assert (file.count, file.dtypes, file.nodata) == (1, ("uint8",), 255)
            assert file.colorinterp[0].name == "palette"
            colours = file.colormap(1)
            assert [colours[n][:3] for n in (1, 4, 9)] == [*(self.LABELS.palette or ())]
            wanted = np.array([1, 4, 9])[(65535 - given.read()).argmax(0)]
            there = given.dataset_mask() > 0
            assert (file.read(1)[there] == wanted[there]).all()
            assert (file.read(1)[~there] == 255).all()

    def test_ignored_index_is_nodata(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.tif", numbers(3))  # nothing is missing
        labels = self.LABELS.model_copy(update={"ignore": 0})
        translate_folder(negative(Domain.of_type("uint16"), labels), path, tmp_path / "out")
        with rasterio.open(tmp_path / "out/a.tif") as file:
            assert file.nodata == 0

    def test_to_an_image(self, tmp_path: Path) -> None:
        """A label map on the ground leads to an image on the ground."""
        classes = default_rng(0).choice(np.array([1, 4, 9], np.uint8), (1, 64, 64))
        path = write(tmp_path / "a.tif", classes)
        model = negative(self.LABELS, Domain.of_type("uint8"))
        assert not translate_folder(model, path, tmp_path / "out").failed
        with rasterio.open(tmp_path / "out/a.tif") as file:
            assert (file.crs, file.transform) == (PLACE["crs"], PLACE["transform"])
            assert file.count == 3

    def test_of_other_tiffs(self, tmp_path: Path) -> None:
        """With the palette, as PNG has it."""
        pixels = np.ascontiguousarray(np.moveaxis(numbers(3), 0, 2))
        write_image(tmp_path / "in/a.tif", Picture(pixels))
        model = negative(Domain.of_type("uint16"), self.LABELS)
        translate_folder(model, tmp_path / "in", tmp_path / "out")
        translate_folder(model, tmp_path / "in", tmp_path / "png", image_format="png")
        tiff, png = (
            read_native_picture(tmp_path / name, indices=True)
            for name in ("out/a.tif", "png/a.png")
        )
        assert tiff.colours
        assert png.colours
        assert tiff.colours.palette[:10] == png.colours.palette[:10]
        np.testing.assert_array_equal(tiff.pixels, png.pixels)


@pytest.mark.parametrize("packing", [None, REFLECTANCE])
@pytest.mark.parametrize("alike", [True, False])
def test_masked_results_stay_on_the_ground(
    alike: bool, packing: Packing | None, tmp_path: Path
) -> None:
    """And as they are stored, also in files that store values unlike those of training."""
    given, stored = numbers(2), packing
    if packing and not alike:
        stored = packing.model_copy(update={"scales": (2e-4,) * 2, "nodata": 65535})
    nodata = 0 if alike else 65535
    given[:, -8:, -8:] = nodata
    given[:, 63, 0] = 0 if stored else 7  # which means no data to this model
    path = write(tmp_path / "in/a.tif", given, stored, nodata=nodata)
    mask = np.zeros((64, 64, 1), np.uint8)
    mask[:32] = 255
    write_image(tmp_path / "mask.png", Picture(mask))
    domain = (
        packed_domain(packing, -0.1, 13.007) if packing else Domain.of_type("uint16", ("1", "2"))
    )
    domain = domain.model_copy(update={"nodata": None if packing else 0})
    mask_file, model = tmp_path / "mask.png", negative(domain)
    assert not translate_folder(model, path, tmp_path / "out", mask=mask_file).failed
    with rasterio.open(tmp_path / "out/a.tif") as file, rasterio.open(path) as before:
        assert (file.crs, file.transform) == (before.crs, before.transform)
        assert (file.scales, file.nodata) == (before.scales, before.nodata)
        np.testing.assert_array_equal(file.read()[:, 32:], given[:, 32:])
        assert (file.read()[:, :32] != given[:, :32]).any()


def test_several_images_in_one_file(tmp_path: Path) -> None:
    """Of which rasterio would read the first alone."""
    path = write(tmp_path / "a.tif", numbers(2))
    shape = {"count": 2, "height": 64, "width": 64, "dtype": "uint16"}
    with rasterio.open(path, "w", "GTiff", APPEND_SUBDATASET="YES", **shape, **PLACE) as file:
        file.write(numbers(2))
    with pytest.raises(ImageError, match=r"a\.tif: 2 images, .*: save each as its own file"):
        read_native_picture(path)


def test_points_on_the_ground_follow_the_size(tmp_path: Path) -> None:
    points = [GroundControlPoint(r, c, 10.0 + c, 50.0 - r) for r, c in ((0, 0), (0, 8), (8, 0))]
    path = write(tmp_path / "a.tif", numbers(3), crs=None, transform=Affine.identity())
    with rasterio.open(path, "r+") as file:
        file.gcps = points, "EPSG:4326"
    model = Translator(
        Same(3), negative(Domain.of_type("uint16")).spec, device="cpu", resize=(128, 32)
    )
    translate_folder(model, path, tmp_path / "out")
    with rasterio.open(tmp_path / "out/a.tif") as file:
        found, _ = file.gcps
    assert [(each.row, each.col, each.x, each.y) for each in found] == [
        (2 * each.row, each.col / 2, each.x, each.y) for each in points
    ]


def test_a_run_knows_nodata_and_units(tmp_path: Path, train: Command, img2img: Command) -> None:
    """From the files to the model, to its export, and to the results of that."""
    for n in range(3):
        write(tmp_path / f"set/A/{n}.tif", numbers(4), nodata=0)
        write(tmp_path / f"set/B/{n}.tif", numbers(1), KELVIN)
    assert train(tmp_path / "run", "--data", tmp_path / "set").status == 0
    given, out = tmp_path / "set/A", tmp_path / "out"
    translated = img2img("translate", "-m", tmp_path / "run", "--input", given, "--output", out)
    assert translated.status == 0, translated.err
    with rasterio.open(out / "1.tif") as file:
        assert (file.nodata, file.scales, file.units) == (0, KELVIN.scales, ("K",))
        assert (file.dataset_mask()[-8:, -8:] == 0).all()
        assert file.dataset_mask()[:-8].all()
    assert img2img("export", tmp_path / "run", "--output", tmp_path / "m.onnx").status == 0
    for model in (tmp_path / "run", tmp_path / "m.onnx"):
        spec = Translator.load(model).spec
        assert (spec.input.nodata, spec.output.packing) == (0, KELVIN)


def test_gaps_in_later_rows_leave_earlier_ones(tmp_path: Path) -> None:
    """A mask that begins below is one of all rows."""
    from img2img.images import open_rows, write_rows

    pixels = np.ascontiguousarray(np.moveaxis(numbers(2), 0, 2))
    valid = np.ones((64, 64), bool)
    valid[30:40, 5:9] = False
    header = read_native_picture(write(tmp_path / "a.tif", numbers(2))).header
    picture = Picture(pixels, valid=valid, header=header)
    with write_rows(tmp_path / "b.tif", picture.rows(0, 0), (64, 64), np.uint16) as writer:
        for top in range(0, 64, 16):
            rows = picture.rows(top, top + 16)
            assert rows.valid is not None
            writer.write(replace(rows, valid=None) if rows.valid.all() else rows)
    with rasterio.open(tmp_path / "b.tif") as file:
        np.testing.assert_array_equal(file.dataset_mask() > 0, valid)
    with open_rows(tmp_path / "b.tif") as reader:
        assert reader.read(0, 16).valid is None

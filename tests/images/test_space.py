"""DICOM to NIfTI and both to TIFF: where pixels are, and how far apart."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
import tifffile
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from img2img.images import Frames, Picture, read_native, write_image
from img2img.images.codecs.dicom import DicomHeader

# In the patient, to the left, back and top: right along the columns, down along the rows.
OBLIQUE = [0.0, 1.0, 0.0, 0.0, 0.0, -1.0]


def write(path: Path, count: int, **keywords: Any) -> Path:
    """A file whose values are 100 x frame + 10 x row + column."""
    dataset = Dataset()
    for keyword, value in keywords.items():
        setattr(dataset, keyword, value)
    frame, row, column = np.ogrid[:count, :3, :4]
    values = (100 * frame + 10 * row + column).astype(np.uint16)
    header = DicomHeader(dataset)
    frames = tuple(Picture(each[..., None], header=header) for each in values)
    write_image(path, Frames(frames, axis="z", header=header) if count > 1 else frames[0])
    return path


def enhanced(positions: Sequence[Sequence[float]]) -> dict[str, Any]:
    """The groups of an enhanced file: a position for each frame, the rest for all."""
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.25], 9
    orientation.ImageOrientationPatient = OBLIQUE
    shared.PixelMeasuresSequence = Items([measures])
    shared.PlaneOrientationSequence = Items([orientation])
    frames = []
    for each in positions:
        frame, position = Dataset(), Dataset()
        position.ImagePositionPatient = [*each]
        frame.PlanePositionSequence = Items([position])
        frames.append(frame)
    return {
        "SharedFunctionalGroupsSequence": Items([shared]),
        "PerFrameFunctionalGroupsSequence": Items(frames),
    }


def as_nifti(path: Path) -> Any:
    made = path.with_suffix(".nii.gz")
    write_image(made, read_native(path))
    return nibabel.load(made)


def test_a_slice(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.dcm",
        1,
        PixelSpacing=[0.5, 0.25],
        SliceThickness=3,
        ImageOrientationPatient=OBLIQUE,
        ImagePositionPatient=[10, 20, 30],
    )
    image = as_nifti(path)
    # A column further is 0.25 to the back, a row further 0.5 to the feet; the normal is (-1, 0, 0)
    # to the left, that is 1 to the right. Left and back are negative in a NIfTI.
    wanted: Any = [[0, 0, 3, -10], [-0.25, 0, 0, -20], [0, -0.5, 0, 30], [0, 0, 0, 1]]
    np.testing.assert_allclose(image.affine, wanted)
    assert image.header.get_xyzt_units()[0] == "mm"
    assert image.header["sform_code"] == image.header["qform_code"] == 1
    assert image.shape == (4, 3, 1)
    assert image.get_fdata()[3, 2, 0] == 23  # column 3, row 2


def test_frames_are_slices_in_the_order_of_their_positions(tmp_path: Path) -> None:
    positions = [[10 + x, 20, 30] for x in (0, -4, -2)]
    image = as_nifti(write(tmp_path / "x.dcm", 3, **enhanced(positions)))
    wanted: Any = [[0, 0, 2, -10], [-0.25, 0, 0, -20], [0, -0.5, 0, 30], [0, 0, 0, 1]]
    np.testing.assert_allclose(image.affine, wanted)
    assert image.get_fdata()[1, 2].tolist() == [21, 221, 121]


def test_frames_of_one_position_stay_in_order(tmp_path: Path) -> None:
    image = as_nifti(write(tmp_path / "x.dcm", 3, **enhanced([[10, 20, 30]] * 3)))
    assert image.header.get_zooms() == (0.25, 0.5, 9)
    assert image.get_fdata()[0, 0].tolist() == [0, 100, 200]


def test_a_dose() -> None:
    """A real file, whose frames are at offsets of the first."""
    path = Path(get_testdata_file("rtdose.dcm", download=False))
    header: Any = read_native(path).header
    wanted: Any = [
        [-10, 0, 0, -189.43125],
        [0, -10, 0, -199.43125],
        [0, 0, 5, -761.87],
        [0, 0, 0, 1],
    ]
    np.testing.assert_allclose(header.place(15).affine, wanted)


def test_without_a_position_nothing_is_said(tmp_path: Path) -> None:
    image = as_nifti(write(tmp_path / "x.dcm", 1))
    np.testing.assert_array_equal(image.affine, np.eye(4))


def test_at_another_size(tmp_path: Path) -> None:
    """The middle of the image stays where it is."""
    read = read_native(write(tmp_path / "x.dcm", 2, **enhanced([[10, 20, 30], [8, 20, 30]])))
    assert isinstance(read, Frames)
    before = read.header
    after = before.resized((3, 4), (6, 8))  # type: ignore[union-attr]
    middles = [
        header.place(2).affine @ [(width - 1) / 2, (height - 1) / 2, 0, 1]  # type: ignore[union-attr]
        for header, height, width in ((before, 3, 4), (after, 6, 8))
    ]
    np.testing.assert_allclose(middles[0], middles[1])
    assert after.spacing(2) == (0.125, 0.25, 2)


@pytest.mark.parametrize("suffix", [".dcm", ".nii"])
def test_distances_in_a_tiff(tmp_path: Path, suffix: str) -> None:
    if suffix == ".dcm":
        path = write(tmp_path / "x.dcm", 3, **enhanced([[10 + x, 20, 30] for x in (0, -2, -4)]))
    else:  # the axes of which are stored as y, z, x
        path = tmp_path / "x.nii"
        affine = [[0, 0, -0.25, 0], [0.5, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 1]]
        nibabel.save(nibabel.Nifti1Image(np.zeros((3, 3, 4), np.uint8), np.array(affine)), path)
    wanted = (0.25, 0.5, 2.0)
    write_image(tmp_path / "x.tif", read_native(path))
    with tifffile.TiffFile(tmp_path / "x.tif") as file:
        about = file.ome_metadata
        resolution = file.pages.first.get_resolution(3)
        assert file.series[0].axes == "ZYX"
    for axis, size in zip("XYZ", wanted, strict=True):
        assert f'PhysicalSize{axis}="{size}"' in str(about)
    assert str(about).count('Unit="mm"') == 3
    np.testing.assert_allclose(resolution, [10 / size for size in wanted[:2]], rtol=1e-6)
    again = read_native(tmp_path / "x.tif")
    write_image(tmp_path / "y.tif", again)
    with tifffile.TiffFile(tmp_path / "y.tif") as file:
        assert 'PhysicalSizeZUnit="mm"' in str(file.ome_metadata)
        np.testing.assert_allclose(
            file.pages.first.get_resolution(3),
            resolution,
            rtol=1e-5,
        )


def test_a_dicom_keeps_its_groups(tmp_path: Path) -> None:
    path = write(tmp_path / "x.dcm", 2, **enhanced([[10, 20, 30], [8, 20, 30]]))
    write_image(tmp_path / "y.dcm", read_native(path))
    dataset = pydicom.dcmread(tmp_path / "y.dcm")
    group = dataset.PerFrameFunctionalGroupsSequence[1]
    assert group.PlanePositionSequence[0].ImagePositionPatient == [8, 20, 30]

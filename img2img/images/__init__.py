"""Image files and what is in them: reading, writing, listing, and pixels <-> tensors.

Everything that knows about file formats, bit depths, orientation, transparency or colour profiles
is here; the rest of the program sees RGB pixels, or tensors in [-1, 1].
"""

from img2img.images.codecs import CODECS, Codec, FileFacts, Reader, Writer
from img2img.images.codecs.files import readable_suffixes, suffix_of, writable_suffixes
from img2img.images.conversions import ImageLike, as_picture, as_rgb, like
from img2img.images.domain import Counts, Depth, Domain, count_outside, count_values
from img2img.images.formats import MAX_PIXELS
from img2img.images.listing import (
    OURS,
    count_unreadable,
    is_run,
    list_images,
    list_own,
    natural_key,
    unreadable_suffixes,
    walk,
)
from img2img.images.metadata import with_pixels
from img2img.images.picture import Animation, Frames, Header, Picture, Pixels, eight_bit, of_depth
from img2img.images.pillow import Colours
from img2img.images.reading import (
    Extent,
    measure,
    open_rows,
    probe,
    read_image,
    read_native,
    read_picture,
)
from img2img.images.tensors import from_levels, resized, to_levels, to_pixels, to_tensor
from img2img.images.writing import (
    OPAQUE_SUFFIXES,
    check_format,
    keeps_depth,
    write_image,
    write_picture,
)

__all__ = [
    "CODECS",
    "MAX_PIXELS",
    "OPAQUE_SUFFIXES",
    "OURS",
    "Animation",
    "Codec",
    "Colours",
    "Counts",
    "Depth",
    "Domain",
    "Extent",
    "FileFacts",
    "Frames",
    "Header",
    "ImageLike",
    "Picture",
    "Pixels",
    "Reader",
    "Writer",
    "as_picture",
    "as_rgb",
    "check_format",
    "count_outside",
    "count_unreadable",
    "count_values",
    "eight_bit",
    "from_levels",
    "is_run",
    "keeps_depth",
    "like",
    "list_images",
    "list_own",
    "measure",
    "natural_key",
    "of_depth",
    "open_rows",
    "probe",
    "read_image",
    "read_native",
    "read_picture",
    "readable_suffixes",
    "resized",
    "suffix_of",
    "to_levels",
    "to_pixels",
    "to_tensor",
    "unreadable_suffixes",
    "walk",
    "with_pixels",
    "writable_suffixes",
    "write_image",
    "write_picture",
]

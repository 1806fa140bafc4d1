"""Image files and what is in them: reading, writing, listing, and pixels <-> tensors.

Everything that knows about file formats, bit depths, orientation, transparency or colour profiles
is here; the rest of the program sees RGB pixels, or tensors in [-1, 1].
"""

from img2img.images.conversions import ImageLike, as_picture, like
from img2img.images.domain import Counts, Depth, Domain, count_outside, count_values
from img2img.images.formats import MAX_PIXELS
from img2img.images.listing import (
    IMAGE_SUFFIXES,
    OURS,
    UNREADABLE_SUFFIXES,
    count_unreadable,
    is_run,
    list_images,
    list_own,
    natural_key,
    walk,
)
from img2img.images.metadata import with_pixels
from img2img.images.picture import Animation, Frames, Picture, Pixels, eight_bit, of_depth
from img2img.images.reading import Extent, measure, read_image, read_picture
from img2img.images.tensors import from_levels, resized, to_levels, to_pixels, to_tensor
from img2img.images.writing import (
    DEEP_SUFFIXES,
    OPAQUE_SUFFIXES,
    WRITABLE_SUFFIXES,
    check_format,
    write_image,
    write_picture,
)

__all__ = [
    "DEEP_SUFFIXES",
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "OPAQUE_SUFFIXES",
    "OURS",
    "UNREADABLE_SUFFIXES",
    "WRITABLE_SUFFIXES",
    "Animation",
    "Counts",
    "Depth",
    "Domain",
    "Extent",
    "Frames",
    "ImageLike",
    "Picture",
    "Pixels",
    "as_picture",
    "check_format",
    "count_outside",
    "count_unreadable",
    "count_values",
    "eight_bit",
    "from_levels",
    "is_run",
    "like",
    "list_images",
    "list_own",
    "measure",
    "natural_key",
    "of_depth",
    "read_image",
    "read_picture",
    "resized",
    "to_levels",
    "to_pixels",
    "to_tensor",
    "walk",
    "with_pixels",
    "write_image",
    "write_picture",
]

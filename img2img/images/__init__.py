"""Image files and what is in them: reading, writing, listing, and pixels <-> tensors.

Everything that knows about file formats, bit depths, orientation, transparency or colour profiles
is here; the rest of the program sees RGB pixels, or tensors in [-1, 1].
"""

from img2img.images.codecs import CODECS, Codec, FileFacts, Reader, Writer
from img2img.images.codecs.files import (
    holds_several,
    readable_suffixes,
    suffix_of,
    writable_suffixes,
)
from img2img.images.conversions import ImageLike, as_picture, as_rgb, like
from img2img.images.domain import (
    RGB,
    RGBA,
    Axis,
    Depth,
    Domain,
    channel_names,
    count_outside,
    is_grey,
    type_range,
)
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
from img2img.images.masks import Mask, Weights, blended, weights_of
from img2img.images.metadata import with_pixels
from img2img.images.picture import (
    Animation,
    Frames,
    Header,
    Number,
    Picture,
    Pixels,
    Valid,
    View,
    eight_bit,
    of_depth,
)
from img2img.images.pillow import Colours
from img2img.images.reading import (
    Extent,
    measure,
    open_rows,
    probe,
    read_image,
    read_native,
    read_native_picture,
    read_picture,
)
from img2img.images.tensors import from_levels, nearest, resized, to_levels, to_pixels, to_tensor
from img2img.images.writing import (
    OPAQUE_SUFFIXES,
    check_format,
    keeps_depth,
    write_image,
    write_picture,
    write_rows,
)

__all__ = [
    "CODECS",
    "MAX_PIXELS",
    "OPAQUE_SUFFIXES",
    "OURS",
    "RGB",
    "RGBA",
    "Animation",
    "Axis",
    "Codec",
    "Colours",
    "Depth",
    "Domain",
    "Extent",
    "FileFacts",
    "Frames",
    "Header",
    "ImageLike",
    "Mask",
    "Number",
    "Picture",
    "Pixels",
    "Reader",
    "Valid",
    "View",
    "Weights",
    "Writer",
    "as_picture",
    "as_rgb",
    "blended",
    "channel_names",
    "check_format",
    "count_outside",
    "count_unreadable",
    "eight_bit",
    "from_levels",
    "holds_several",
    "is_grey",
    "is_run",
    "keeps_depth",
    "like",
    "list_images",
    "list_own",
    "measure",
    "natural_key",
    "nearest",
    "of_depth",
    "open_rows",
    "probe",
    "read_image",
    "read_native",
    "read_native_picture",
    "read_picture",
    "readable_suffixes",
    "resized",
    "suffix_of",
    "to_levels",
    "to_pixels",
    "to_tensor",
    "type_range",
    "unreadable_suffixes",
    "walk",
    "weights_of",
    "with_pixels",
    "writable_suffixes",
    "write_image",
    "write_picture",
    "write_rows",
]

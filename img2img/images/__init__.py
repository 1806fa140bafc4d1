"""Image files and what is in them: reading, writing, listing, and pixels <-> tensors.

Everything that knows about file formats, bit depths, orientation, transparency or colour profiles
is here; the rest of the program sees RGB pixels, or tensors in [-1, 1].
"""

from img2img.images.channels import RGB, RGBA, channel_names, is_grey, with_alpha_apart
from img2img.images.codecs import CODECS, Codec, FileFacts, Reader, Writer
from img2img.images.codecs.files import (
    holds_several,
    readable_suffixes,
    suffix_of,
    writable_suffixes,
)
from img2img.images.conversions import ImageLike, as_label_map, as_picture, as_rgb, like
from img2img.images.depths import (
    Depth,
    Number,
    Pixels,
    Valid,
    eight_bit,
    fits,
    of_depth,
    type_range,
)
from img2img.images.domain import MOST_CHANNELS, Axis, Domain
from img2img.images.formats import MAX_PIXELS
from img2img.images.labels import (
    ClassNumbers,
    codes_of,
    hexadecimal,
    one_hot,
    packed,
    unpacked,
)
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
from img2img.images.masks import ALPHA, Mask, WeightRows, Weights, blended, weights_of
from img2img.images.metadata import with_pixels
from img2img.images.packing import Packing
from img2img.images.picture import (
    Animation,
    Colours,
    Frames,
    Header,
    Pages,
    Picture,
    View,
    count_outside,
)
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
from img2img.images.tensors import (
    from_levels,
    nearest,
    resized,
    to_levels,
    to_pixels,
    to_tensor,
)
from img2img.images.writing import (
    OPAQUE_SUFFIXES,
    check_format,
    keeps_depth,
    write_image,
    write_picture,
    write_rows,
)

__all__ = [
    "ALPHA",
    "CODECS",
    "MAX_PIXELS",
    "MOST_CHANNELS",
    "OPAQUE_SUFFIXES",
    "OURS",
    "RGB",
    "RGBA",
    "Animation",
    "Axis",
    "ClassNumbers",
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
    "Packing",
    "Pages",
    "Picture",
    "Pixels",
    "Reader",
    "Valid",
    "View",
    "WeightRows",
    "Weights",
    "Writer",
    "as_label_map",
    "as_picture",
    "as_rgb",
    "blended",
    "channel_names",
    "check_format",
    "codes_of",
    "count_outside",
    "count_unreadable",
    "eight_bit",
    "fits",
    "from_levels",
    "hexadecimal",
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
    "one_hot",
    "open_rows",
    "packed",
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
    "unpacked",
    "unreadable_suffixes",
    "walk",
    "weights_of",
    "with_alpha_apart",
    "with_pixels",
    "writable_suffixes",
    "write_image",
    "write_picture",
    "write_rows",
]

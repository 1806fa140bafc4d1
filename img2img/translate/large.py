"""Translating a picture that is larger than memory: it is read, translated and written by rows."""

from contextlib import ExitStack

from img2img.engine.translator import Translator
from img2img.images import Extent, Picture, Writer, blended, open_rows, write_rows
from img2img.translate.manifest import Entry
from img2img.translate.options import FolderOptions
from img2img.translate.plan import Job
from img2img.translate.results import Results, state_of


def goes_by_rows(
    extent: Extent, translator: Translator, results: Results, options: FolderOptions
) -> bool:
    """Whether a picture is too large for memory, and can be translated without being in it."""
    height, width = extent.size
    return (
        not translator.budget.takes_whole(extent, compared=results.masks is not None)
        and extent.pixels == height * width
        and all(domain.is_plain for domain in translator.spec.domains.values())
        and not (results.compare or results.gallery)
        and options.stabilize == "off"
        and translator.takes_rows(extent.size)
    )


def translate_by_rows(job: Job, translator: Translator, results: Results) -> Entry:
    """Translate a large picture some rows at a time, and record its result.

    Raises:
        ImageError: it cannot be read, or has no mask that fits.
        StorageError: the result cannot be written, or there is no room for temporary files.
    """
    state = state_of(job)
    pages = translator.values.input.pages
    with open_rows(job.source, pages=pages) as reader, ExitStack() as stack:
        size = reader.facts.size
        weights = None
        if results.masks:
            weights = stack.enter_context(results.masks.rows(job.name, reader))
        writer: Writer | None = None
        done = 0

        def write(given: Picture, made: Picture) -> None:
            nonlocal writer, done
            if weights:
                given = translator.values.unchanged(given)
                made = blended(given, made, weights(done, done + len(made.pixels)))
            if writer is None:
                opened = write_rows(job.target, made.rows(0, 0), size, made.pixels.dtype)
                writer = stack.enter_context(opened)
            writer.write(made)
            done += len(made.pixels)

        translator.translate_rows(reader, write, job.target.parent)
        if job.in_place:
            results.note(job, state, size)
    return results.note(job, state, size, job.target)

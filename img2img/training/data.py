"""The images of a run: found, checked and described."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from img2img.config import DataConfig
from img2img.data.augment import Transform
from img2img.data.check import Survey, check_found, remarks, sides_of
from img2img.data.dataset import DataSet
from img2img.data.domains import channels_colored, channels_of, resolve_domains
from img2img.data.problems import refusal
from img2img.data.samples import Batch, Samples
from img2img.data.sizes import (
    PUBLISHED_CROP,
    HeightWidth,
    image_size,
    resolve_sizes,
    training_scale,
)
from img2img.data.sources import CountProgress
from img2img.data.surveying import survey_together
from img2img.data.value_notices import value_facts, value_notices
from img2img.errors import DataError, some_names
from img2img.images import Domain
from img2img.models.spec import SCALE_WORTH_SAYING
from img2img.runs.data import names_of, unusable
from img2img.training.session import Session


@dataclass(frozen=True)
class TrainingData:
    """The images of a run.

    Attributes:
        found: the data set without the files that cannot be used; values are read by `domains`.
        left_out: the files that cannot be used.
        domains: what the values in the files of `A` and `B` mean.
        load_size: (height, width) to resize to; `crop_size` likewise.
        scales: by domain, size of a training image relative to its file.
        image_sizes: by domain, the typical size of the files; None if they are not resized.
        values: a description of the values in the files, for display.
        gaps: whether some pixels hold no data.
        settings: the section `data` of the configuration.
        transform: makes training crops from images.
    """

    found: DataSet
    left_out: list[str]
    domains: Mapping[str, Domain]
    load_size: HeightWidth
    crop_size: HeightWidth
    scales: Mapping[str, float]
    image_sizes: Mapping[str, HeightWidth | None]
    values: str
    gaps: bool
    settings: DataConfig
    transform: Transform

    def samples(self, seed: int, progress: CountProgress | None = None) -> Samples:
        """Augmented samples for training, by position."""
        return self.found.samples(self.settings, seed, self.transform, progress)

    def held_out_batches(self) -> Iterator[Batch]:
        """The held-out images in batches of one, not augmented."""
        return self.found.held_out_batches(self.settings, self.transform)

    def trained_batches(self, most: int) -> Iterator[Batch]:
        """Some training images in batches of one, not augmented."""
        count = len(self.found)
        for index in range(0, count, -(-count // most)):
            yield from self.found.only(index).held_out_batches(self.settings, self.transform)


def prepare_data(
    kind: type[DataSet],
    data: DataConfig,
    seed: int,
    inputs: str,
    session: Session,
    unbounded: str = "",
) -> TrainingData:
    """Find and decode all images, and determine sizes and domains.

    Args:
        kind: the class of data set that the method is trained on.
        inputs: the domains that are translated: `A`, `B` or `AB`.
        unbounded: the domains, likewise, whose values generators do not bound.

    Raises:
        ConfigError: a setting does not fit the images.
        DataError: there are no images, or some cannot be used (see `data.skip_bad`).
    """
    found, survey = _usable(kind, data, seed, session)
    load_size, crop_size = resolve_sizes(data, survey.smallest)
    domains = {**resolve_domains(data, survey.values), **found.domains}
    domains |= {d: domains[d].model_copy(update={"clip": False}) for d in unbounded}
    found = found.seen_as(domains)
    scales = {d: training_scale(data, sizes, load_size) for d, sizes in survey.sizes.items()}
    image_sizes = {domain: image_size(data, sizes) for domain, sizes in survey.sizes.items()}
    for notice in (
        *found.notices(),
        *size_notices(data, survey, crop_size, {d: scales[d] for d in inputs}),
        *value_notices(domains, survey.values),
    ):
        session.observer.noticed(notice)
    return TrainingData(
        found,
        names_of(unusable(survey.problems)),
        domains,
        load_size,
        crop_size,
        scales,
        image_sizes,
        value_facts(domains, survey.values),
        any(values.gaps for values in survey.values.values())
        or any(domain.nodata is not None for domain in domains.values()),
        data,
        Transform(
            data,
            load_size,
            crop_size,
            channels_of(domains),
            channels_colored(data, domains),
        ),
    )


def _usable(
    kind: type[DataSet], data: DataConfig, seed: int, session: Session
) -> tuple[DataSet, Survey]:
    """The usable images; the others are refused, or left out with a notice."""
    observer, processes = session.observer, session.processes
    found = kind.find(data, seed)
    progress = partial(observer.preparing, "checking images")
    decoded = survey_together(found, processes, progress, sides=sides_of(data))
    report = processes.from_first(check_found(found, data, survey=decoded))
    if report.problems and not data.skip_bad:
        raise refusal(report.problems, found.proposal, any_pairs=not found.empty)
    if report.problems:
        observer.noticed(f"left out: {some_names([each.name for each in report.problems])}")
    for remark in remarks(report, data):
        observer.noticed(remark)
    # Found anew, so that what is held out is chosen among the good ones.
    bad = unusable(report.survey.problems)
    kept = kind.find(data, seed, leave_out=bad) if bad else found
    if kept.empty:
        raise DataError(f"{found.layout}: no usable images are left to train on")
    return kept, report.survey


def size_notices(
    data: DataConfig, survey: Survey, crop_size: HeightWidth, scales: Mapping[str, float]
) -> Iterator[str]:
    """Notices about image sizes that may come as a surprise.

    Args:
        scales: of each domain that is translated; see `training_scale`.
    """
    sizes = survey.all_sizes
    usual = sorted(min(size) for size in sizes.elements())[sizes.total() // 2]
    if data.crop_size == "auto" and min(crop_size) < min(PUBLISHED_CROP, usual // 2):
        height, width = survey.smallest
        yield (
            f"crops are {crop_size[1]} x {crop_size[0]} because the smallest image has {width} x"
            f" {height} pixels; for larger crops remove that image or set data.crop_size"
        )
    for scale in dict.fromkeys(scales.values()):
        if not 1 / SCALE_WORTH_SAYING <= scale <= SCALE_WORTH_SAYING:
            yield (
                f"images are resized to {100 * scale:.0f} % of their size for training; when"
                " translating, larger images are resized in the same way, and the results"
                " resized back; `data.resize=none` trains on crops at full size"
            )

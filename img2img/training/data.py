"""The data of a training: found, checked, and what its files are."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from img2img.config import DataConfig
from img2img.data.augment import Transform
from img2img.data.check import Survey, check_found, remarks
from img2img.data.dataset import DataSet
from img2img.data.problems import refusal
from img2img.data.sizes import HeightWidth, resolve_sizes
from img2img.data.surveying import survey_together
from img2img.data.values import resolve_domains, value_facts, value_notices
from img2img.errors import DataError, some_names
from img2img.images import Domain
from img2img.runs.data import names_of, unusable
from img2img.runtime.processes import Processes
from img2img.training.build import image_size, size_notices, training_scale
from img2img.training.events import Observer


@dataclass(frozen=True)
class TrainingData:
    """The images of a run.

    Attributes:
        found: without what cannot be used; values are read as those of `domains`.
        left_out: the files that cannot be used.
        domains: what the files of `A` and `B` hold.
        load_size: (height, width) to resize to, as `crop_size`.
        scales: by domain, pixels of a training image to a pixel of its file.
        image_sizes: by domain, the usual size of the files; None where they are not resized.
        values: the values in the files, in words to be shown.
    """

    found: DataSet
    left_out: list[str]
    domains: Mapping[str, Domain]
    load_size: HeightWidth
    crop_size: HeightWidth
    scales: Mapping[str, float]
    image_sizes: Mapping[str, HeightWidth | None]
    values: str

    def transform(self, data: DataConfig) -> Transform:
        """What makes crops of the images."""
        return Transform(data, self.load_size, self.crop_size)


def prepare_data(
    kind: type[DataSet],
    data: DataConfig,
    seed: int,
    inputs: str,
    observer: Observer,
    processes: Processes,
) -> TrainingData:
    """Find and decode all images, and settle sizes and domains.

    Args:
        kind: of data that the method is trained on.
        inputs: the domains that are translated, `A`, `B` or `AB`.

    Raises:
        ConfigError, DataError: there are none, or some cannot be used (`data.skip_bad`).
    """
    found, survey = _usable(kind, data, seed, observer, processes)
    load_size, crop_size = resolve_sizes(data, survey.smallest)
    domains = {**resolve_domains(data, survey.values), **found.domains}
    found = found.seen_as(domains)
    scales = {d: training_scale(data, sizes, load_size) for d, sizes in survey.sizes.items()}
    for notice in (
        *found.notices(),
        *size_notices(data, survey, crop_size, {d: scales[d] for d in inputs}),
        *value_notices(domains, survey.values),
    ):
        observer.noticed(notice)
    return TrainingData(
        found,
        names_of(unusable(survey.problems)),
        domains,
        load_size,
        crop_size,
        scales,
        {domain: image_size(data, sizes) for domain, sizes in survey.sizes.items()},
        value_facts(domains, survey.values),
    )


def _usable(
    kind: type[DataSet], data: DataConfig, seed: int, observer: Observer, processes: Processes
) -> tuple[DataSet, Survey]:
    """The images that can be used; the others are refused, or left out with a notice."""
    found = kind.find(data, seed)
    decoded = survey_together(found, processes, partial(observer.preparing, "checking images"))
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
        raise DataError(f"{found.layout}: nothing is left to train on")
    return kept, report.survey

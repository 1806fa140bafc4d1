"""What is wrong with a training, read from its log: conditions, their evidence, and remedies."""

from img2img.doctor.conditions import CONDITIONS, Evidence, Finding, examine, follow
from img2img.doctor.course import Course

__all__ = ["CONDITIONS", "Course", "Evidence", "Finding", "examine", "follow"]

"""Frozen feature networks: what sees images for measures, losses and discriminators.

Each needs a file of weights: one that is given; one that torch keeps from an earlier download; one
that is part of a package; or, where the caller allows it, one that is downloaded.
"""

from img2img.features.network import FeatureExtractor, FeatureNetwork, Features, feature_network
from img2img.features.perceptual import PerceptualDistance
from img2img.features.pyramid import MIN_SIDE, FeaturePyramid, PyramidName
from img2img.features.weights import WEIGHTS, MissingFeatures, Supply, Weights, supply_of_part

__all__ = [
    "MIN_SIDE",
    "WEIGHTS",
    "FeatureExtractor",
    "FeatureNetwork",
    "FeaturePyramid",
    "Features",
    "MissingFeatures",
    "PerceptualDistance",
    "PyramidName",
    "Supply",
    "Weights",
    "feature_network",
    "supply_of_part",
]

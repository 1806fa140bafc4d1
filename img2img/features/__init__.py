"""Frozen feature networks for measures, losses and discriminators.

Each needs a file of weights: one given by the user, one that torch has kept from an earlier
download, one that is part of a package, or, if the caller allows it, a download.
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

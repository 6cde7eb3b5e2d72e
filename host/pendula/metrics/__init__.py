"""Two-sample statistics with stated level and power, and scores of images with floors.

Every function takes real samples, one a row, and an explicit seed where it draws. SciPy is needed:
``pip install 'pendula[report]'``.
"""

from pendula.metrics.covariance import CovarianceDifferences, compare_covariances
from pendula.metrics.energy import EnergyDistance, EnergyTest, energy_distance, energy_test
from pendula.metrics.ess import effective_sample_size, independent_stride
from pendula.metrics.floors import Score, image_scores, independent_pixels, linear_gaussian
from pendula.metrics.marginals import (
    KolmogorovSmirnov,
    MeanDifferences,
    compare_means,
    holm,
    kolmogorov_smirnov,
)
from pendula.metrics.one_sample import (
    CellTest,
    CovarianceTest,
    LawTest,
    compare_with_cells,
    compare_with_covariance,
    compare_with_law,
)
from pendula.metrics.power import Power, detectable
from pendula.metrics.two_sample import ALPHA, Family, TwoSample, compare_samples

__all__ = [
    "ALPHA", "CellTest", "CovarianceDifferences", "CovarianceTest", "EnergyDistance", "EnergyTest",
    "Family", "KolmogorovSmirnov", "LawTest", "MeanDifferences", "Power", "Score", "TwoSample",
    "compare_covariances", "compare_means", "compare_samples", "compare_with_cells",
    "compare_with_covariance", "compare_with_law", "detectable", "effective_sample_size",
    "energy_distance",
    "energy_test", "holm", "image_scores", "independent_pixels", "independent_stride",
    "kolmogorov_smirnov", "linear_gaussian",
]

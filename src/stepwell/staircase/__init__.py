"""The staircase: learning gains one dimension at a time. Predict, detect, forecast, explain."""

from stepwell.staircase.detect import Step, find_steps
from stepwell.staircase.explain import Explanation
from stepwell.staircase.forecast import Forecast, next_step
from stepwell.staircase.theory import Modes, pair_matrix, predict

__all__ = [
    "Explanation",
    "Forecast",
    "Modes",
    "Step",
    "find_steps",
    "next_step",
    "pair_matrix",
    "predict",
]

"""What is learned from a few labels, on top of what was learned without."""

from stepwell.adapt.calibrate import heat_of, margin
from stepwell.adapt.choose import (
    PROPAGATED,
    Candidate,
    Chosen,
    chosen_head,
    held_of,
    too_many_classes,
)
from stepwell.adapt.head import Head, Held
from stepwell.adapt.promises import covered, mixed_otherwise
from stepwell.adapt.propagate import unsure_of
from stepwell.adapt.rules import Scorer, rule_of
from stepwell.adapt.sets import (
    COVERAGE,
    Sets,
    check_coverage,
    fewest,
    least_sure,
    usual_sets,
)
from stepwell.adapt.suggest import suggest_rows
from stepwell.adapt.sums import LabelSums, discriminants
from stepwell.adapt.suspects import suspects
from stepwell.adapt.table import LabelTable, LeftOut
from stepwell.adapt.witnesses import Witnesses
from stepwell.adapt.words import Terms

__all__ = [
    "COVERAGE",
    "PROPAGATED",
    "Candidate",
    "Chosen",
    "Head",
    "Held",
    "LabelSums",
    "LabelTable",
    "LeftOut",
    "Scorer",
    "Sets",
    "Terms",
    "Witnesses",
    "check_coverage",
    "chosen_head",
    "covered",
    "discriminants",
    "fewest",
    "heat_of",
    "held_of",
    "least_sure",
    "margin",
    "mixed_otherwise",
    "rule_of",
    "suggest_rows",
    "suspects",
    "too_many_classes",
    "unsure_of",
    "usual_sets",
]

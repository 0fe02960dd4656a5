"""What is learned from a few labels, on top of what was learned without."""

from stepwell.adapt.head import Head, chosen_head, margin
from stepwell.adapt.words import Terms

__all__ = ["Head", "Terms", "chosen_head", "margin"]

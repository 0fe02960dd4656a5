"""The gradient engine: a network trained on pairs, one readable loop. Needs torch."""

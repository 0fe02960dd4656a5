"""A torch network as encoder: random, pretrained by others, or trained by the gradient engine."""

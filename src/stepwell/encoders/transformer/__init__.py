"""Features of texts from a transformer that is trained on them."""

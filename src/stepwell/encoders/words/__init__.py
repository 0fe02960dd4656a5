"""Features of texts from the words in them."""

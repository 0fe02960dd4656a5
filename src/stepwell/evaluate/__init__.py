"""Pure functions that judge an embedding, with and without labels."""

"""Small tools below every room: integer hashes, safe files, progress. Knows no data kind."""

"""Verbs that use an encoder: search."""

"""Numbered schema changes, applied in order at every start. Append only."""

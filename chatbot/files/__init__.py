"""Reads uploaded files: pictures and PDF, known by their content and never by their name."""

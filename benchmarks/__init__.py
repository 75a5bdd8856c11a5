"""Measurements of speed and quality, run from the repository root; see README.md beside this file."""

"""Molecules: vocabularies, arrays, valence, bond lengths, files. RDKit and numpy only, no torch."""

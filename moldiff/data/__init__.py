"""Data sets of molecules with 3D coordinates: reading, caching, statistics, batching."""

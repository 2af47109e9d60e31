"""Biomes, and the analysis-ready cube of everything on one grid."""

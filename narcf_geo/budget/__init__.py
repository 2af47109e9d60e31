"""Budgets: fluxes summed over areas and true month lengths, with intervals."""

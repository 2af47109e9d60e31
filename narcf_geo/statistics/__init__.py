"""Arrays in, numbers out: scores, conformal intervals, importance, applicability, error model."""

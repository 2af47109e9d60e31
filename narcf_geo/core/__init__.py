"""What everything stands on: constants, errors, units, months, files, locks, YAML, provenance."""

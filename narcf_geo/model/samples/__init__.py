"""From a cube to rows: features, splits and the table to learn from."""

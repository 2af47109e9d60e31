"""Numbers in, numbers out, compiled: overlap areas, polygons, interpolation, weights applied."""

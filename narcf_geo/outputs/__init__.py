"""The files a run hands out: CF NetCDF for science, GeoTIFF with QGIS styles for maps."""

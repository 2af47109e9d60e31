"""The script here runs in the Python of QGIS, not in this one."""

collect_ignore = ["read_products.py"]

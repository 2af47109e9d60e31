"""The one door: whatever comes in from outside, in the terms of the house or refused in words.

`open_fields` takes files and objects, `flux_field`, `area_field` and `class_field` know what a
quantity must be, `on_one_grid` pairs arrays by label, and `regions` does the same for polygons.
"""

from narcf_geo.fields.align import on_one_grid
from narcf_geo.fields.axes import in_house_order
from narcf_geo.fields.door import open_fields, open_flux
from narcf_geo.fields.time import on_month_axis
from narcf_geo.fields.values import area_field, class_field, flux_field

__all__ = [
    "area_field",
    "class_field",
    "flux_field",
    "in_house_order",
    "on_month_axis",
    "on_one_grid",
    "open_fields",
    "open_flux",
]

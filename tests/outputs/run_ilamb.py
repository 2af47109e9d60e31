"""Print the mean bias that ILAMB finds of a file against another. Run by a Python with ilamb3."""

import sys

import xarray as xr
from ilamb3.analysis import bias_analysis

reference, estimate = (xr.open_dataset(path)[["nbp", "time_bnds"]] for path in sys.argv[1:3])
table, *_ = bias_analysis("nbp")(reference, estimate)
found = table[table["type"] == "scalar"].set_index("name")["value"]
print(table.to_string(), file=sys.stderr)
print(float(found["Bias"]))

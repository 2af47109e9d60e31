"""Prediction for every land cell and month: of a cube that is open, or of one of any size on disk.

Chunks of a store are computed one by one, each in the same way, so that threads, processes and a
cluster write the same bytes. dask schedules them.
"""

from narcf_geo.core.pool import open_pool
from narcf_geo.prediction.arrays import predict
from narcf_geo.prediction.engine import Summary, predict_file
from narcf_geo.prediction.netcdf import predict_netcdf

__all__ = ["Summary", "open_pool", "predict", "predict_file", "predict_netcdf"]

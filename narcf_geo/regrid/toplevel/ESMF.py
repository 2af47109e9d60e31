"""What ``import ESMF`` finds where no ESMPy is installed: narcf_geo's stand-in.

xESMF imports ``esmpy`` and, when there is none, ``ESMF``, ESMPy's name before 2023. Installed
beside narcf_geo, this module lets any process import xESMF, whether it imports narcf_geo first or
not. As a plain module it gives way to the package of an old ESMPy.
"""

from narcf_geo.regrid.esmpy import *  # noqa: F403
from narcf_geo.regrid.esmpy import __getattr__, __version__  # noqa: F401

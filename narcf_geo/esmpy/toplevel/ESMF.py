"""What ``import ESMF`` finds: ESMPy where it is installed, otherwise narcf_geo's stand-in.

xESMF imports ``esmpy`` and, when there is none, ``ESMF``, ESMPy's name before version 8.4.
Installed beside narcf_geo, this module lets any process import xESMF, whether it imports narcf_geo
first or not. As a plain module it gives way to the package of an old ESMPy.
"""

try:
    from esmpy import *  # noqa: F403
except ImportError:
    from narcf_geo.esmpy import *  # noqa: F403

"""``python -m narcf_geo``: the same as the command ``narcf-geo``."""

from narcf_geo.cli import main

if __name__ == "__main__":
    main()

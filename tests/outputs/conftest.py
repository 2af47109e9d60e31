"""The script here runs in the Python of ILAMB, not in this one."""

collect_ignore = ["run_ilamb.py"]

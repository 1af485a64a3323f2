"""A backend whose driver is missing: importing it fails."""

raise ImportError("libfakedriver.so.7: cannot open shared object file")

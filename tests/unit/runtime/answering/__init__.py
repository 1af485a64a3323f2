raise RuntimeError("processes run a module of the package without this")

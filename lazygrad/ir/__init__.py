"""The graph: dtypes, shapes, index algebra, interned nodes, and the operation record they point to.

Nothing here knows which operations exist (``lazygrad.ops`` declares those) or how anything runs.
"""

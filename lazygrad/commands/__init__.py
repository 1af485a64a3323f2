"""What ``python -m lazygrad`` can do, one command a file."""

"""A process for tests: what it is asked to do stands in the job."""

from __future__ import annotations

import os
import pickle
import sys
import time


def main() -> None:
    while True:
        try:
            what, value = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        if what == "die":
            sys.stderr.write("last words")
            sys.stderr.flush()
            os._exit(3)
        if what == "hang":
            time.sleep(600)
        if what == "environment":
            value = os.environ[value]
        sys.stderr.write(f"asked for {value}")
        sys.stderr.flush()
        pickle.dump((os.getpid(), value), sys.stdout.buffer)
        sys.stdout.buffer.flush()

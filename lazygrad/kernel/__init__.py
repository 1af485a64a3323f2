"""Kernels: what one launch computes, free of vectors, threads and tiles; and what turns them into source."""

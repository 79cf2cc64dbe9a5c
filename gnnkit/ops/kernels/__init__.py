"""What the compiled kernels of all ops share: their cache on disk, threads, vector instructions; pieces of rows."""

"""The median time of one exact top-1 match in numpy, in milliseconds: float32 matrix @ vector on one thread."""

import os
import sys
import time

for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy

rows, dimensions, probes = int(sys.argv[1]), 128, 31
random = numpy.random.default_rng(1)
matrix = random.uniform(-1, 1, (rows, dimensions)).astype(numpy.float32)
matrix /= numpy.linalg.norm(matrix, axis=1, keepdims=True)
times = []
for _ in range(probes):
    probe = random.uniform(-1, 1, dimensions).astype(numpy.float32)
    started = time.perf_counter()
    scores = matrix @ probe
    times.append((time.perf_counter() - started) * 1e3)
times.sort()
print(times[probes // 2])

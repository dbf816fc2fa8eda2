"""A batch on a Dask cluster of SLURM jobs: python dask_slurm.py manifest.csv results 16.

Needs ``pip install dask-jobqueue``. Each job is one worker with one core, which has one case at a time; jobs that SLURM
ends are replaced as long as this program runs.
"""

import subprocess
import sys

from dask_jobqueue import SLURMCluster

manifest, out, jobs = sys.argv[1], sys.argv[2], int(sys.argv[3])
with SLURMCluster(cores=1, processes=1, memory="10GB", walltime="12:00:00") as cluster:
    cluster.scale(jobs=jobs)
    command = ["ablmargin", "batch", manifest, "--out", out, "--scheduler", cluster.scheduler_address]
    code = subprocess.call(command)
sys.exit(code)

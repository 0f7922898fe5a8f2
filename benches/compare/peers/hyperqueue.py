"""Drives HyperQueue: one JSON line in, `ok` out.

The library's own wait looks once a second, so the end of a turn is seen by a last task that
depends on all others and writes into a pipe.
"""

import json
import os
import sys

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig

home = os.environ["DOWNBEAT_COMPARE_HOME"]
pipe = os.path.join(home, "last")
out = os.path.join(home, "out")
os.makedirs(out, exist_ok=True)
os.mkfifo(pipe)
cluster = LocalCluster(os.path.join(home, "server"), WorkerConfig(cores=2))
client = cluster.client()
count = 0


def program(job, script, deps=()):
    global count
    count += 1
    path = os.path.join(out, str(count))
    return job.program([script], stdout=path + ".out", stderr=path + ".err", deps=deps)


def run(scripts):
    job = Job(default_workdir=home)
    tasks = [program(job, script) for script in scripts]
    job.program(["/bin/sh", "-c", "echo >" + pipe], stdout=None, stderr=None, deps=tasks)
    client.submit(job)
    with open(pipe) as last:
        last.read()


def submit(script):
    job = Job(default_workdir=home)
    program(job, script)
    client.submit(job)


print("ok", flush=True)
for line in sys.stdin:
    for verb, argument in json.loads(line).items():
        {"run": run, "submit": submit}[verb](argument)
    print("ok", flush=True)

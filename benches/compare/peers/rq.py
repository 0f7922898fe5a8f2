"""Drives RQ: one JSON line in, `ok` out."""

import json
import os
import sys
import time

from redis import Redis
from rq import Queue, Worker

import work

home = os.environ["DOWNBEAT_COMPARE_HOME"]
out = os.path.join(home, "out")
os.makedirs(out, exist_ok=True)
redis = Redis(unix_socket_path=os.path.join(home, "redis.socket"))
queue = Queue(connection=redis)
count = 0


def arguments(script):
    global count
    count += 1
    return (script, os.path.join(out, str(count)))


def run(scripts):
    finished = queue.finished_job_registry
    data = [Queue.prepare_data(work.run, args=arguments(script)) for script in scripts]
    queue.enqueue_many(data)
    while finished.count < count:
        time.sleep(0.005)


def submit(script):
    queue.enqueue(work.run, *arguments(script))


while Worker.count(connection=redis) < 2:
    time.sleep(0.05)
print("ok", flush=True)
for line in sys.stdin:
    for verb, argument in json.loads(line).items():
        {"run": run, "submit": submit}[verb](argument)
    print("ok", flush=True)

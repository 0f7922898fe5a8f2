"""submitit: results, arrays, failures, cancel, a checkpoint by USR2 that is resumed."""

import os
import sys
import time

import submitit


def add(a, b):
    return a + b


def fail():
    raise ValueError("on purpose")


def rank():
    environment = submitit.JobEnvironment()
    return environment.global_rank, environment.num_tasks


class Resumes(submitit.helpers.Checkpointable):
    """Says that it runs, and goes on only when it was interrupted once."""

    def __call__(self, mark):
        if os.path.exists(mark):
            return "resumed"
        with open(mark, "w") as file:
            file.write("runs")
        time.sleep(600)


def state(job):
    return job.get_info(mode="force").get("State", "")


def until(what, look):
    end = time.time() + 60
    while time.time() < end:
        if look():
            return
        time.sleep(0.1)
    sys.exit(f"waited for {what}")


def main():
    executor = submitit.AutoExecutor(folder="logs")
    assert executor.cluster == "slurm", executor.cluster
    executor.update_parameters(timeout_min=5, cpus_per_task=1, mem_gb=0.1)
    sums = executor.submit(add, 5, 7)
    many = executor.map_array(add, [1, 2, 3], [10, 20, 30])
    bad = executor.submit(fail)
    assert sums.result() == 12
    assert [job.result() for job in many] == [11, 22, 33]
    assert "on purpose" in str(bad.exception())
    executor.update_parameters(tasks_per_node=2)
    assert executor.submit(rank).results() == [(0, 2), (1, 2)]
    executor.update_parameters(tasks_per_node=1)

    slow = executor.submit(time.sleep, 600)
    until("it to run", lambda: state(slow) == "RUNNING")
    slow.cancel(check=False)
    until("its end", lambda: state(slow).startswith("CANCELLED"))

    mark = os.path.abspath("mark")
    resumes = executor.submit(Resumes(), mark)
    until("it to run", lambda: os.path.exists(mark))
    resumes._interrupt(timeout=False)
    assert resumes.result() == "resumed"
    print("all right")


if __name__ == "__main__":
    main()

"""parsl: apps on blocks of a SlurmProvider, with sacct and without."""

import os

import parsl
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.launchers import SingleNodeLauncher, SrunLauncher
from parsl.providers import SlurmProvider


@parsl.python_app
def square(x):
    return x * x


@parsl.python_app
def job():
    import os

    return os.environ["SLURM_JOB_ID"]


def tries(name, launcher):
    provider = SlurmProvider(
        partition=None,
        account=None,
        nodes_per_block=1,
        cores_per_node=1,
        mem_per_node=1,
        init_blocks=1,
        max_blocks=1,
        walltime="00:05:00",
        exclusive=False,
        launcher=launcher,
        worker_init=f"export PATH={os.environ['PATH']}",
    )
    executor = HighThroughputExecutor(
        label=name, address="127.0.0.1", max_workers_per_node=1, provider=provider
    )
    with parsl.load(Config(executors=[executor], run_dir=name, strategy="none")):
        assert [square(x).result(timeout=60) for x in range(4)] == [0, 1, 4, 9]
        assert int(job().result(timeout=60)) > 0


if __name__ == "__main__":
    tries("single", SingleNodeLauncher())
    tries("srun", SrunLauncher())
    print("all right")

"""Clients of Slurm's API: the generated one of 0.0.38, and one that asks by hand."""

import asyncio

import openapi_client
import slurm_requests

from rest_common import HERE, LIVE, SAYS_WHO, SCRIPT, URL, until


def the_oldest():
    conf = openapi_client.Configuration(host=URL, api_key=SAYS_WHO)
    api = openapi_client.SlurmApi(openapi_client.ApiClient(conf))
    assert api.slurm_v0038_ping().pings[0].ping == "UP"

    def submit(script, **job):
        job = openapi_client.V0038JobProperties(
            environment={"PATH": "/bin:/usr/bin"}, current_working_directory=HERE, **job
        )
        body = openapi_client.V0038JobSubmission(script=SCRIPT % script, job=job)
        answer = api.slurm_v0038_submit_job(body)
        assert not answer.errors, answer
        return str(answer.job_id)

    def show(job):
        return api.slurm_v0038_get_job(job).jobs[0]

    def ended(job):
        def look():
            now = show(job)
            return None if now.job_state in LIVE else now

        return until("an end", look)

    done = submit("echo $SLURM_JOB_ID; exit 3", name="old", time_limit=5, tasks=1, cpus_per_task=2)
    job = ended(done)
    assert (job.job_state, job.exit_code, job.time_limit) == ("FAILED", 768, 5), job
    runs = submit("sleep 600", name="runs")
    until("a start", lambda: show(runs).job_state == "RUNNING" or None)
    array = submit("sleep 600", array="0-3%1", name="array")
    names = [job.name for job in api.slurm_v0038_get_jobs().jobs]
    assert "runs" in names and "old" in names, names
    tasks = api.slurm_v0038_get_job(array).jobs
    assert all(job.array_job_id == int(array) for job in tasks), tasks
    change = openapi_client.V0038JobProperties(environment={}, comment="changed")
    api.slurm_v0038_update_job(array, change)
    assert "changed" in [job.comment for job in api.slurm_v0038_get_job(array).jobs]
    for job in (runs, array):
        api.slurm_v0038_cancel_job(job)
    assert ended(runs).job_state == "CANCELLED"
    try:
        api.slurm_v0038_get_job("999999")
        raise AssertionError("there is no such job")
    except openapi_client.ApiException as error:
        assert error.status == 500 and "2017" in error.body, error
    assert api.slurm_v0038_get_nodes().nodes and api.slurm_v0038_get_partitions().partitions
    api.slurm_v0038_diag(), api.slurm_v0038_slurmctld_get_licenses()


async def by_requests():
    slurm_requests.init_defaults(
        url=URL,
        api_version="v0.0.40",
        user_name=SAYS_WHO["user"],
        user_token=SAYS_WHO["token"],
        partition="default",
        environment=["PATH=/bin:/usr/bin"],
    )
    await slurm_requests.ping()
    job, _ = await slurm_requests.job_submit(
        name="asked", working_directory=HERE, script=SCRIPT % "sleep 600", time_limit=5
    )
    assert "asked" in await slurm_requests.jobs_list_names()
    state, _ = await slurm_requests.job_current_state_and_reason(job)
    assert state <= {slurm_requests.SLURMJobState.PENDING, slurm_requests.SLURMJobState.RUNNING}
    await slurm_requests.job_cancel(job)


the_oldest()
asyncio.run(by_requests())
print("all right")

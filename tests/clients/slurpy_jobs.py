"""The generated clients of 0.0.40, 0.0.41 and 0.0.42: submit, show, list, cancel, history."""

import slurpy.v0040
import slurpy.v0041
import slurpy.v0042

from rest_common import HERE, LIVE, SAYS_WHO, SCRIPT, URL, until


def newer(client):
    conf = client.Configuration(host=URL)
    conf.api_key.update(SAYS_WHO)
    with client.ApiClient(conf) as connection:
        api, history = client.SlurmApi(connection), client.SlurmdbApi(connection)
        assert api.get_ping().pings[0].pinged == "UP"
        minutes = {"set": True, "infinite": False, "number": 5}

        def submit(script, **job):
            job = {
                "script": SCRIPT % script,
                "environment": ["PATH=/bin:/usr/bin"],
                "current_working_directory": HERE,
                "time_limit": minutes,
                **job,
            }
            answer = api.post_job_submit(client.JobSubmitReq.from_dict({"job": job}))
            assert not answer.errors, answer
            return str(answer.job_id)

        def show(job):
            return api.get_job(job).jobs[0]

        def ended(job):
            def look():
                now = show(job)
                return None if set(now.job_state) & LIVE else now

            return until("an end", look)

        done = submit("exit 3", name="new", tasks=2, memory_per_node={"set": True, "number": 100})
        job = ended(done)
        assert job.job_state == ["FAILED"] and job.exit_code.return_code.number == 3, job
        assert job.time_limit.number == 5 and job.cpus.number == 2, job
        runs = submit("sleep 600", name="runs")
        until("a start", lambda: show(runs).job_state == ["RUNNING"] or None)
        assert int(runs) in [job.job_id for job in api.get_jobs().jobs]
        api.delete_job(runs)
        assert ended(runs).job_state == ["CANCELLED"]
        past = history.get_job(done)
        assert past.jobs[0].state.current == ["FAILED"], past
        assert past.jobs[0].steps[0].step.name == "batch", past
        assert done in [str(job.job_id) for job in history.get_jobs(state="FAILED").jobs]
        node, partition = api.get_nodes().nodes[0], api.get_partitions().partitions[0]
        assert api.get_node(node.name).nodes[0].cpus == node.cpus
        assert api.get_partition(partition.name).partitions[0].name == partition.name
        api.get_diag(), api.get_licenses(), api.get_reservations()
        if client is not slurpy.v0040:
            several = [submit("sleep 600", name="several"), submit("true", array="0-3", hold=True)]
            states = {job.job_id: job.job_state for job in api.get_jobs_state().jobs}
            assert states[int(several[1])] == ["PENDING"], states
            api.delete_jobs(client.KillJobsMsg.from_dict({"jobs": several}))
            assert ended(several[0]).job_state == ["CANCELLED"]


for client in (slurpy.v0040, slurpy.v0041, slurpy.v0042):
    newer(client)
print("all right")

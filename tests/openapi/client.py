"""Submits a job with the client that was generated from the document, and waits for its end.

Run by main.rs, which puts the generated package `downbeat_client` into the path.
"""

import datetime
import sys

from downbeat_client import Client
from downbeat_client.api.jobs import get_jobs, get_jobs_id_wait, post_jobs
from downbeat_client.models import Problem, SubmitBody

client = Client(base_url=sys.argv[1])

job = post_jobs.sync(client=client, body=SubmitBody(script="exit 3", name="generated"))
assert job.name == "generated" and job.state in ("PENDING", "RUNNING"), job
assert isinstance(job.submit_time, datetime.datetime), job.submit_time

while job.end_time is None:
    job = get_jobs_id_wait.sync(id=str(job.id), client=client, timeout_s=30)
assert job.state == "FAILED" and job.exit_code == "3:0", job
assert job.exit_status == 3 and job.exit_signal is None, job

page = get_jobs.sync(client=client, state=["FAILED"], limit=10)
assert [one.id for one in page.jobs] == [job.id], page

refused = post_jobs.sync_detailed(client=client, body=SubmitBody(script="true", cpus=1000))
assert refused.status_code == 422 and isinstance(refused.parsed, Problem), refused
assert refused.parsed.code == "invalid_fields", refused
assert [error.field for error in refused.parsed.errors] == ["cpus"], refused

"""What the clients of Slurm's API have in common here."""

import getpass
import os
import time

URL = os.environ["DOWNBEAT_SERVER"]
SAYS_WHO = {"user": getpass.getuser(), "token": "of-no-matter"}
HERE = os.getcwd()
LIVE = {"PENDING", "RUNNING", "COMPLETING"}
SCRIPT = "#!/bin/bash\n%s\n"


def until(what, look):
    end = time.time() + 60
    while time.time() < end:
        found = look()
        if found is not None:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited for {what}")

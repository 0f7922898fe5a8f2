"""What an RQ worker does: runs a script, keeps its output."""

import subprocess


def run(script, path):
    with open(path + ".out", "wb") as out, open(path + ".err", "wb") as err:
        subprocess.run([script], stdout=out, stderr=err, check=True)

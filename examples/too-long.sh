#!/bin/bash
# Wants an hour and has two seconds: it is stopped at its time limit.
# Expected end: TIMEOUT
#SBATCH --job-name=too-long
#SBATCH --time=0:02

echo "started, and going on for an hour"
exec sleep 3600

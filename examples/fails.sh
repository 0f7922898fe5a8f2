#!/bin/bash
# Fails on purpose: its code must arrive as it is, and its last words with it.
# Expected end: FAILED 3:0
#SBATCH --job-name=fails

echo "reading measurements.csv"
echo "measurements.csv: line 17 has no third column" >&2
exit 3

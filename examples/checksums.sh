#!/bin/bash
# Writes forty files, sums them up on all the CPUs it got, and checks the sums.
#SBATCH --job-name=checksums
#SBATCH --cpus-per-task=2
set -euo pipefail

mkdir files
for number in $(seq 40); do
    seq "$number" 5000 > "files/$number.txt"
done
find files -type f -print0 | xargs -0 -n 5 -P "$SLURM_CPUS_PER_TASK" sha256sum > sums.txt
sha256sum --check --quiet sums.txt
echo "$(wc -l < sums.txt) files, every checksum right"

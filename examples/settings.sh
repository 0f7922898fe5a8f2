#!/bin/bash
# Asks for all it needs in its own head, as scripts for Slurm do.
#SBATCH --job-name=settings
#SBATCH --account=physics
#SBATCH --cpus-per-task=2
#SBATCH --mem=64M
#SBATCH --time=1:00
#SBATCH --output=out/%x-%j.txt
#SBATCH --comment="every line above is honoured"
set -euo pipefail

echo "job $SLURM_JOB_ID is $SLURM_JOB_NAME of $SLURM_JOB_ACCOUNT"
echo "on CPUs $DOWNBEAT_CPU_IDS of $SLURM_JOB_NODELIST, threads: $OMP_NUM_THREADS"
sleep 0.3

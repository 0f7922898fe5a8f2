#!/bin/bash
# Estimates pi by throwing darts at a square: as many awks at once as the job got CPUs.
#SBATCH --job-name=pi
#SBATCH --cpus-per-task=2
set -euo pipefail

darts=2000000
for seed in $(seq "$SLURM_CPUS_PER_TASK"); do
    awk -v seed="$seed" -v darts="$darts" 'BEGIN {
        srand(seed)
        for (i = 0; i < darts; i++) {
            x = rand(); y = rand()
            if (x * x + y * y < 1) hits++
        }
        print hits, darts
    }' > "hits.$seed" &
    throwers+=($!)
done
# One wait for each, so that a thrower that fails makes the job fail.
for thrower in "${throwers[@]}"; do wait "$thrower"; done

cat hits.* | awk -v cpus="$SLURM_CPUS_PER_TASK" '
    { hits += $1; darts += $2 }
    END { printf "pi is about %.3f (%d darts on %d CPUs)\n", 4 * hits / darts, darts, cpus }'

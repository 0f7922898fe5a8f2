#!/bin/bash
# The most frequent words of a text: one pipe, four programs.
#SBATCH --job-name=word-count
set -euo pipefail

tr -cs '[:alpha:]' '\n' << 'TEXT' | tr '[:upper:]' '[:lower:]' | sort | uniq --count |
It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of
foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the season of
Light, it was the season of Darkness, it was the spring of hope, it was the winter of despair, we
had everything before us, we had nothing before us, we were all going direct to Heaven, we were
all going direct the other way.
TEXT
    sort --key=1,1nr --key=2 | awk 'NR <= 5 { printf "%-6s %d\n", $2, $1 }'

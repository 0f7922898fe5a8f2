#!/bin/bash
# Makes a file, compresses it, unpacks it again and checks that nothing was lost.
#SBATCH --job-name=compress
set -euo pipefail

seq 1 300000 > numbers.txt
gzip --keep numbers.txt
gunzip --stdout numbers.txt.gz | cmp - numbers.txt

before=$(wc -c < numbers.txt)
after=$(wc -c < numbers.txt.gz)
echo "compressed $before bytes to $after, $((100 * after / before)) % of them; the copy is equal"

#!/bin/bash
# A parameter sweep: which growth rate takes the logistic map from order to chaos?
# In Python where there is one, else in awk.
#SBATCH --job-name=sweep
set -euo pipefail

if python3 -c '' 2> /dev/null; then
    exec python3 - << 'PYTHON'
for tenth in range(28, 41, 2):
    rate, x, seen = tenth / 10, 0.3, set()
    for step in range(20_000):
        x = rate * x * (1 - x)
        if step >= 19_900:
            seen.add(round(x, 4))
    print(f"rate {rate:.1f}: {len(seen)} values")
PYTHON
fi
exec awk 'BEGIN {
    for (tenth = 28; tenth <= 40; tenth += 2) {
        rate = tenth / 10; x = 0.3; n = 0; split("", seen)
        for (step = 0; step < 20000; step++) {
            x = rate * x * (1 - x)
            if (step >= 19900 && !(sprintf("%.4f", x) in seen)) { seen[sprintf("%.4f", x)]; n++ }
        }
        printf "rate %.1f: %d values\n", rate, n
    }
}'

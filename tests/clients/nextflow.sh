#!/bin/bash
# What nextflow does with a task: the script that it writes, its submission, its questions.
set -euo pipefail

mkdir -p work
cat > work/.command.run << 'SCRIPT'
#!/bin/bash
#SBATCH -J nf-hello
#SBATCH -o work/.command.log
#SBATCH --no-requeue
#SBATCH --signal B:USR2@30
#SBATCH -c 2
#SBATCH -t 00:05:00
#SBATCH --mem 64M
# NEXTFLOW TASK: hello
on_exit() { printf "$?" > work/.exitcode; }
trap on_exit EXIT
echo "task of $SLURM_JOB_ID"
sleep 2
exit 3
SCRIPT
said=$(sbatch work/.command.run)
[[ $said =~ ^Submitted\ batch\ job\ ([0-9]+)$ ]]
id=${BASH_REMATCH[1]}
state() { squeue --noheader -o '%i %t' -t all -u "$(id -un)" | awk -v id="$id" '$1 == id { print $2 }'; }
seen=$(state)
[[ $seen =~ ^(PD|R|CF)$ ]]
until [[ -e work/.exitcode ]]; do sleep 0.1; done
[[ $(cat work/.exitcode) == 3 ]]
until [[ $(state) == F ]]; do sleep 0.1; done
[[ $(cat work/.command.log) == "task of $id" ]]
# One that is given up.
sed -i 's/sleep 2/sleep 600/; s/exit 3/exit 0/' work/.command.run
rm work/.exitcode
id=$(sbatch --parsable work/.command.run)
until [[ $(state) == R ]]; do sleep 0.1; done
scancel "$id"
until [[ $(state) == CA ]]; do sleep 0.1; done
echo 'all right'

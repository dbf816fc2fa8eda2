#!/bin/bash
#SBATCH --job-name=ablmargin
#SBATCH --array=1-10
#SBATCH --cpus-per-task=4
#SBATCH --mem=40G
#SBATCH --time=12:00:00
#SBATCH --requeue
#
# A batch as a job array, a shard a task: sbatch slurm.sh manifest.csv results
# Submitted again, it goes on where it was. Whichever task ends last leaves the whole table.
# Only some tasks again: sbatch --array=3,7 slurm.sh manifest.csv results
#
# Into so many parts the batch is divided. --array=1-10 above must name each of them; SLURM's own count is that of the tasks
# submitted, two for --array=3,7.
parts=10

srun ablmargin batch "$1" --out "$2" \
    --workers "$SLURM_CPUS_PER_TASK" \
    --shard "$SLURM_ARRAY_TASK_ID/$parts"
code=$?
# Exit code 4: some cases failed, and their rows say why. That is no failure of the task.
[ $code -eq 4 ] || exit $code

#!/bin/bash
# %%what
#
# Submit it with: sbatch %%script
# Written by ncforce %%version; all of it may be changed.  The run stops before the wall time ends,
# with a checkpoint, and the job is queued again until the run is done.
#
%%sbatch

%%setup

out=%%out
job=%%job
start=(%%start)
go_on=(%%go_on)

# What is left of this job; where Slurm doesn't say it, its signal comes in time.
left=$(squeue --noheader --jobs "$job" --format %L | head -n 1)

if [[ -f $out/run.json ]]; then
    command=("${go_on[@]}")
else
    command=("${start[@]}")
fi
"${command[@]}" --time-limit "${left:-UNLIMITED}" &
run=$!

# USR1: Slurm, as --signal says.  TERM: scancel, or somebody who goes before us.  A checkpoint each.
trap 'kill -USR1 $run 2>/dev/null' USR1
trap 'kill -TERM $run 2>/dev/null' TERM

%%drivers

code=0
wait "$run" || code=$?
while kill -0 "$run" 2>/dev/null; do # a signal came while we waited
    code=0
    wait "$run" || code=$?
done

# 75: stopped for its time limit.  138: by Slurm's signal.
if ((code == 75 || code == 138)); then
    scontrol requeue "$job" || %%again
fi
exit "$code"

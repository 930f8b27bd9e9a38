#!/bin/bash
# %%what
#
# Submit it with: sbatch %%script
# Written by ncforce %%version; all of it may be changed.  It stops before the wall time ends, and the
# job is queued again until it is done.
#
%%sbatch

%%setup

out=%%out
job=%%job
start=(%%start)
go_on=(%%go_on)

# What was on a node that failed may still be at work there, cut off: wait for its end.
if ((${SLURM_RESTART_COUNT:-0})) && [[ -f $out/.lock ]]; then
    timeout 600 flock "$out/.lock" true
fi

# What is left of this job; where Slurm doesn't say it, its signal comes in time.
left=$(squeue --noheader --jobs "$job" --format %L | head -n 1)

if [[ -f $out/%%record ]]; then
    command=("${go_on[@]}")
else
    command=("${start[@]}")
fi
"${command[@]}" --time-limit "${left:-UNLIMITED}" &
run=$!

again() {
    scontrol requeue "$job" || %%again
}

# TERM: scancel, or a job that goes before this one.  Where Slurm doesn't queue ours again by itself,
# we do, and at once: little time is left.  The run stops with a checkpoint.
trap '
    kill -TERM $run 2>/dev/null
    if scontrol show job --oneliner "$job" | grep -q "PreemptTime=[0-9]"; then again; fi
' TERM

# USR1: Slurm, as --signal says.
trap 'kill -USR1 $run 2>/dev/null' USR1

%%drivers

code=0
wait "$run" || code=$?
while kill -0 "$run" 2>/dev/null; do # a signal came while we waited
    code=0
    wait "$run" || code=$?
done

# 75: stopped for its time limit.  138: by Slurm's signal.
if ((code == 75 || code == 138)); then
    again
fi
exit "$code"

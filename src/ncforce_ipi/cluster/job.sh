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

# USR1: Slurm, as --signal says.  TERM: scancel, or a job that goes before this one.  Both are clean
# ends.
trap 'kill -USR1 $run 2>/dev/null' USR1
trap 'kill -TERM $run 2>/dev/null' TERM

%%drivers

code=0
wait "$run" || code=$?
while kill -0 "$run" 2>/dev/null; do # a signal came while we waited
    code=0
    wait "$run" || code=$?
done

# A job that went before ours took its place; where Slurm doesn't queue ours again, we do.
preempted() {
    scontrol show job --oneliner "$job" | grep -q 'PreemptTime=[0-9]'
}

# 75: stopped for its time limit.  138: by Slurm's signal.  143: by TERM.
if ((code == 75 || code == 138)) || { ((code == 143)) && preempted; }; then
    scontrol requeue "$job" || %%again
fi
exit "$code"

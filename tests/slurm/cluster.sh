#!/usr/bin/env bash
# A Slurm of eight nodes on this machine, for tests: cluster.sh install | start DIR | stop DIR
#
# Debian's slurm-wlm and munge, run as root.  All that they write lies in DIR, which must have a
# short name (sockets), and nothing of a Slurm that may be installed here is touched.  Afterwards:
# export SLURM_CONF=DIR/slurm.conf.  Nodes cpu1, gpu1 to gpu3 (a GPU of theirs is a file), lent1, whose
# owner's jobs go before others, and far1 to far3.
set -euo pipefail

NODES=(cpu1 gpu1 gpu2 gpu3 lent1 far1 far2 far3)
GPUS_OF_A_NODE=4
FIRST_PORT=${NCFORCE_TEST_SLURM_PORT:-47810}

die() {
    echo "cluster.sh: $*" >&2
    exit 1
}

install() {
    local missing=()
    command -v slurmctld >/dev/null || missing+=(slurm-wlm)
    command -v munged >/dev/null || missing+=(munge)
    command -v shellcheck >/dev/null || missing+=(shellcheck)
    [[ ${#missing[@]} == 0 ]] && return
    [[ $(id -u) == 0 ]] || die "not root, and ${missing[*]} missing"
    command -v apt-get >/dev/null || die "no apt-get, and ${missing[*]} missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null 2>&1 ||
        { apt-get update -q && apt-get install -y -q --no-install-recommends "${missing[@]}"; } \
            >/dev/null 2>&1 || die "apt-get can't install ${missing[*]}"
}

configure() {
    local dir=$1 port=$FIRST_PORT node mode
    {
        cat <<END
ClusterName=test
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort=$((port + 1))
AuthType=auth/munge
# cred_expire: so many seconds a requeued job waits, 120 by default, at least 5
AuthInfo=socket=$dir/munge.socket,cred_expire=5
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool-%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd-%n.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=100000
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
GresTypes=gpu
ReturnToService=2
KillWait=10
MinJobAge=3600
InactiveLimit=0
UnkillableStepTimeout=30
SwitchType=switch/none
END
        for node in "${NODES[@]}"; do
            port=$((port + 1))
            gres=""
            [[ $node == gpu* ]] && gres="Gres=gpu:$GPUS_OF_A_NODE"
            echo "NodeName=$node NodeHostname=$(hostname) NodeAddr=127.0.0.1" \
                "Port=$((port + 1)) CPUs=16 $gres State=UNKNOWN"
        done
        echo "PartitionName=cpu Nodes=cpu1 MaxTime=UNLIMITED State=UP"
        echo "PartitionName=gpu Nodes=gpu1,gpu2,gpu3 Default=YES MaxTime=UNLIMITED State=UP"
        echo "PartitionName=far Nodes=far1,far2,far3 MaxTime=UNLIMITED State=UP"
        echo "PartitionName=owner Nodes=lent1 PriorityTier=2 PreemptMode=OFF State=UP"
        for mode in CANCEL REQUEUE; do
            echo "PartitionName=lent-${mode,,} Nodes=lent1 PriorityTier=1 PreemptMode=$mode State=UP"
        done
    } >"$dir/slurm.conf"
    for node in "${NODES[@]}"; do
        if [[ $node == gpu* ]]; then
            echo "NodeName=$node Name=gpu File=$dir/gpus/gpu[0-$((GPUS_OF_A_NODE - 1))]"
        fi
    done >"$dir/gres.conf"
}

start() {
    local dir=$1 node i
    [[ $(id -u) == 0 ]] || die "daemons of Slurm run as root here; you aren't"
    mkdir -p "$dir/state" "$dir/gpus"
    # a device that is none, under another name: of plain files Slurm tells no job which are its own
    for ((i = 0; i < GPUS_OF_A_NODE; i++)); do mknod "$dir/gpus/gpu$i" c 1 3; done
    for node in "${NODES[@]}"; do mkdir -p "$dir/spool-$node"; done
    dd if=/dev/urandom of="$dir/munge.key" bs=128 count=1 status=none
    chmod 0600 "$dir/munge.key"
    configure "$dir"
    munged --force --key-file="$dir/munge.key" --socket="$dir/munge.socket" \
        --pid-file="$dir/munged.pid" --log-file="$dir/munged.log" --seed-file="$dir/munged.seed" \
        2>/dev/null || die "munged doesn't start: $(tail -n 3 "$dir/munged.log")"
    export SLURM_CONF=$dir/slurm.conf
    slurmctld -c -f "$SLURM_CONF" 2>"$dir/start.log" ||
        die "slurmctld doesn't start: $(tail -n 3 "$dir/start.log" "$dir/slurmctld.log")"
    for node in "${NODES[@]}"; do
        slurmd -N "$node" -f "$SLURM_CONF" 2>>"$dir/start.log" ||
            die "slurmd of $node doesn't start: $(tail -n 3 "$dir/slurmd-$node.log")"
    done
    for ((i = 0; i < 60; i++)); do
        [[ $(sinfo -h -N -t idle -o %N 2>/dev/null | sort -u | wc -l) == "${#NODES[@]}" ]] && return
        sleep 0.5
    done
    die "nodes don't get idle: $(sinfo -N 2>&1); $(tail -n 3 "$dir/slurmctld.log")"
}

stop() {
    local dir=$1 file pid
    export SLURM_CONF=$dir/slurm.conf
    if [[ -f $dir/slurmctld.pid ]]; then
        mapfile -t jobs < <(timeout 10 squeue -h -o %A 2>/dev/null | sort -u)
        [[ ${#jobs[@]} == 0 ]] || timeout 20 scancel --full --signal=KILL "${jobs[@]}" 2>/dev/null || true
        [[ ${#jobs[@]} == 0 ]] || timeout 20 scancel "${jobs[@]}" 2>/dev/null || true
    fi
    for file in "$dir"/slurmd-*.pid "$dir/slurmctld.pid" "$dir/munged.pid"; do
        [[ -f $file ]] || continue
        pid=$(<"$file")
        kill "$pid" 2>/dev/null || continue
        for ((i = 0; i < 50; i++)); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
        kill -9 "$pid" 2>/dev/null || true
    done
}

case ${1:-} in
    install) install ;;
    start) start "${2:?a directory}" ;;
    stop) stop "${2:?a directory}" ;;
    *) die "install | start DIR | stop DIR" ;;
esac

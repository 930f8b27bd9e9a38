"""The text of a job script: options of sbatch, then one command, queued again until it is done.

The texts with ``%%names`` are ``job.sh`` and ``drivers.sh`` beside this file.
"""

from __future__ import annotations

import re
import shlex
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template

from ncforce_ipi import __version__
from ncforce_ipi.cluster.layout import Layout
from ncforce_ipi.cluster.settings import Settings
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.commands import driver_words, one_server, slow_driver_words
from ncforce_ipi.launch.jobs.job import Job
from ncforce_ipi.launch.processes.timelimit import seconds_of, spare_s
from ncforce_ipi.rundir import JOB_FILE, RECORD_FILE, STRUCTURE_FILE, TOKEN_FILE

ARRAY = re.compile(r"[\d,:-]+(?:%\d+)?")
TASK, JOB = "$SLURM_ARRAY_TASK_ID", "$SLURM_JOB_ID"
EARLY_S = 60.0  # Slurm may send a signal so much earlier than it was asked to
OUT = "OUT/"  # begin of a file of the run in the words of a driver


class _Text(Template):
    """Text with ``%%names``, for a shell has its own use of ``$``."""

    delimiter = "%%"


@dataclass(frozen=True)
class Ask:
    """What a script shall do.

    Attributes
    ----------
    out : directory of the run, or of the runs of an array; absolute
    words : of ``ncforce run`` without ``--out``; empty for a run that has begun
    layout : what of the cluster it uses
    settings : of the site, and of this script
    directory : where it is submitted, from which files are named
    drivers : the commands of drivers on other nodes; none where the run starts its own
    longer : words with which a run that has begun becomes a longer one
    array : indices of an array of runs, which are their seeds; empty for one run
    verb : of ``ncforce``, in the place of ``run``
    record : file in ``out`` that is there once it has begun
    """

    out: Path
    words: Sequence[str]
    layout: Layout
    settings: Settings
    directory: Path
    drivers: Sequence[Sequence[str]] = ()
    array: str = ""
    longer: Sequence[str] = ()
    verb: str = "run"
    record: str = RECORD_FILE

    def __post_init__(self) -> None:
        if self.array and not ARRAY.fullmatch(self.array):
            raise InputError(f"--array: expected indices such as 1-4 or 1-20%5, got {self.array!r}")
        if self.array and self.settings.ipi_partition:
            raise InputError("Slurm has no arrays of heterogeneous jobs; leave --ipi-partition out")
        for path in (self.out, self.directory):
            if re.search(r"[\x00-\x1f\"\\%]", str(path)):
                raise InputError(
                    f"{path} has a quote, backslash, percent sign or control character, which "
                    "Slurm would read in its own way; choose another directory"
                )


def program(settings: Settings) -> str:
    """``ncforce`` of the environment that the site's lines make, or of this one."""
    if settings.setup:
        return "ncforce"
    return str(Path(sysconfig.get_path("scripts")) / "ncforce")


def job_script(ask: Ask) -> str:
    """The whole script."""
    out = f"{shlex.quote(str(ask.out))}/{TASK}" if ask.array else shlex.quote(str(ask.out))
    go_on = [ask.verb, "--resume", *ask.longer]
    words = [ask.verb, *ask.words] if ask.words else go_on
    seed = ["--seed", TASK] if ask.array else []
    remote = ["--remote", "0"] if ask.drivers else []
    return _fill(
        "job.sh",
        {
            "what": _what(ask),
            "version": __version__,
            "script": shlex.quote(str(ask.out / JOB_FILE)),
            "sbatch": _sbatch(ask),
            "record": ask.record,
            "setup": "\n".join(ask.settings.setup),
            "out": out,
            "job": '"${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"' if ask.array else JOB,
            "start": _command([program(ask.settings), *words, *seed, *remote]),
            "go_on": _command([program(ask.settings), *go_on, *remote]),
            "drivers": _drivers(ask),
            "again": _again(ask),
        },
    )


def _command(words: Sequence[str]) -> str:
    quoted = [f'"{word}"' if word == TASK else shlex.quote(word) for word in words]
    return " ".join([*quoted, "--out", '"$out"'])


def _what(ask: Ask) -> str:
    layout = ask.layout
    gpus = f"{layout.nodes * layout.gpus} GPU" + "s" * (layout.nodes * layout.gpus > 1)
    where = f" on {layout.nodes} nodes" * (layout.nodes > 1)
    one = "One run" if ask.verb == "run" else "A distillation"
    many = f"An array of runs, seeds {ask.array}, each with" if ask.array else f"{one} with"
    return f"{many} {gpus}{where}." if layout.gpus else f"{many} {layout.drivers} driver(s)."


def _sbatch(ask: Ask) -> str:
    """The options of sbatch, one a line; of a heterogeneous job those of i-PI first."""
    settings, layout = ask.settings, ask.layout
    time = settings.time
    own = {
        "job-name": ask.out.name,
        "output": f"{ask.out}/slurm-{'%A_%a' if ask.array else '%j'}.out",
        "open-mode": "append",
        "chdir": str(ask.directory),
        "requeue": "",
        "signal": _signal(time),
        "array": ask.array or None,
    }
    common = {
        "time": time,
        "account": settings.account,
        "qos": settings.qos,
    }
    here = {"partition": settings.partition}
    if not ask.drivers:
        wanted = {"nodes": 1, "ntasks": 1, "cpus-per-task": layout.cpus, "gres": layout.gres}
        return _lines([own, common, here, wanted], settings.sbatch)
    wanted = {
        "nodes": layout.nodes,
        "ntasks-per-node": layout.gpus,
        "cpus-per-task": layout.threads + (settings.ipi_partition is None),
        "gres": layout.gres,
    }
    if settings.ipi_partition is None:
        return _lines([own, common, here, wanted], settings.sbatch)
    head = {"partition": settings.ipi_partition, "nodes": 1, "ntasks": 1, "cpus-per-task": 2}
    first = _lines([own, common, head], ())
    second = _lines([common, here, wanted], settings.sbatch)
    return f"{first}\n#SBATCH hetjob\n{second}"


def _lines(parts: Sequence[Mapping[str, object]], more: Sequence[str]) -> str:
    """``#SBATCH`` lines of options that have a value; an empty one is a flag's."""
    options = [
        f"--{name}" + (f"={_quoted(str(value))}" if value != "" else "")
        for part in parts
        for name, value in part.items()
        if value is not None
    ]
    return "\n".join(f"#SBATCH {option}" for option in [*options, *map(_as_given, more)])


def _as_given(option: str) -> str:
    """A user's option as Slurm reads it: the shell or TOML has taken the quotes of its value."""
    name, _, value = option.partition("=")
    plain = re.search(r"\s", name) or '"' in value or value.startswith("'")
    return option if plain or not re.search(r"[\s#]", value) else f"{name}={_quoted(value)}"


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[\w@%+=:,./-]+", text) else f'"{text}"'


def _signal(time: str | None) -> str | None:
    """When Slurm sends its signal: after the run's own stop, for which short jobs have no room."""
    later_s = spare_s(seconds_of(time) if time else float("inf")) - EARLY_S
    return f"B:USR1@{later_s:.0f}" if later_s > 0 else None


def _drivers(ask: Ask) -> str:
    if not ask.drivers:
        return ""
    het = "--het-group=1 " if ask.settings.ipi_partition else ""
    counts = [ask.layout.drivers, 1]
    lines = []
    for words, n in zip(ask.drivers, counts, strict=False):
        command = " ".join(_driver_word(word) for word in words)
        lines.append(f"for _ in $(seq {n}); do\n    drive {command} &\ndone")
    return _fill(
        "drivers.sh",
        {
            "token": TOKEN_FILE,
            "step": f"srun {het}--exact --nodes=1 --ntasks=1 --cpus-per-task={ask.layout.threads} "
            "--gres=gpu:1 --mem=0 --kill-on-bad-exit=1",
            "commands": "\n".join(lines),
        },
    ).rstrip()


def _driver_word(word: str) -> str:
    """A file of the run in the script's words."""
    return f'"$out/{word.removeprefix(OUT)}"' if word.startswith(OUT) else shlex.quote(word)


def remote_drivers(job: Job, ncforce: str, gpus: int) -> list[list[str]]:
    """The commands of drivers on other nodes than i-PI, which show the run's secret.

    Parameters
    ----------
    ncforce : ``ncforce`` there
    gpus : whether each of them sees one GPU, and nothing else
    """
    plan, service, ensemble = job.recipe.plan, job.service, job.recipe.ensemble
    addresses = one_server(["--token-file", f"{OUT}{TOKEN_FILE}"])
    two = bool(service.slow_driver) and plan.forces != "fast"
    role = plan.forces if plan.forces != "mts" else ("fast" if two else "both")
    own = driver_words(
        service, plan, ensemble, role, addresses,
        program=[service.program or ncforce], device="cuda" if gpus else None,
    )  # fmt: skip
    slow = [slow_driver_words(service, addresses)] if two else []
    found = slow if two and plan.forces == "slow" else [own, *slow]
    return [[f"{OUT}{word}" if word == STRUCTURE_FILE else word for word in it] for it in found]


def _again(ask: Ask) -> str:
    """Where no job may be queued again: one that begins after it."""
    one = ' --array="$SLURM_ARRAY_TASK_ID"' if ask.array else ""
    script = shlex.quote(str(ask.out / JOB_FILE))
    return f'sbatch --dependency="afterany:$job"{one} {script}'


def _fill(name: str, values: Mapping[str, str]) -> str:
    """One of the texts with its names replaced; blank lines around nothing become one."""
    path = resources.files("ncforce_ipi.cluster") / name
    text = _Text(path.read_text(encoding="utf-8")).substitute(values)
    return re.sub(r"\n{3,}", "\n\n", text)

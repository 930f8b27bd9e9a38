"""``ncforce slurm``: what a script asks for and does, settings of a site; without Slurm.

Jobs of a real Slurm are in ``tests/slurm``.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess

import pytest

from ncforce_ipi import cli
from ncforce_ipi.cli import run as runs
from ncforce_ipi.cli import slurm_distil
from ncforce_ipi.cli.slurm import OURS, _parser_of_run
from ncforce_ipi.cli.spelling import words_of
from ncforce_ipi.distil.request import Request
from ncforce_ipi.distil.state import State
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.inputs.systems import SYSTEMS
from ncforce_ipi.inputs.templates import shipped_file
from ncforce_ipi.launch.directory.files import contents
from ncforce_ipi.launch.jobs.job import new_job, to_record

VELOCITIES = shipped_file(SYSTEMS["water"].velocities)
ARGON = """4
Lattice="5.3 0 0 0 5.3 0 0 0 5.3" Properties=species:S:1:pos:R:3 pbc="T T T"
Ar 0 0 0
Ar 0 2.65 2.65
Ar 2.65 0 2.65
Ar 2.65 2.65 0
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A directory of its own without any settings, and no Slurm."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def show(capfd):
    """``show(...)``: the script of these words for a day."""

    def call(*words, out="prod", time=("--time", "24:00:00")):
        code = cli.main(["slurm", "water", *time, "--out", out, "--dry-run", *words])
        said, err = capfd.readouterr()
        assert code == 0, err
        return said, err

    return call


def options(text):
    """What is asked of sbatch, of each component."""
    parts = [[]]
    for line in text.splitlines():
        if line == "#SBATCH hetjob":
            parts.append([])
        elif line.startswith("#SBATCH "):
            parts[-1] += shlex.split(line.removeprefix("#SBATCH "))
    return parts if len(parts) > 1 else parts[0]


def start(text):
    """The words of the run."""
    line = next(line for line in text.splitlines() if line.startswith("start=("))
    return shlex.split(line.removeprefix("start=(").removesuffix(")"))[1:]


def test_one_run_on_one_gpu(show, tmp_path):
    text, _ = show("--mts", "4", "--time-ps", "10", "--gpus", "1", "--partition", "gpu")
    assert options(text) == [
        "--job-name=prod",
        f"--output={tmp_path}/prod/slurm-%j.out",
        "--open-mode=append",
        f"--chdir={tmp_path}",
        "--requeue",
        "--signal=B:USR1@60",
        "--time=24:00:00",
        "--partition=gpu",
        "--nodes=1",
        "--ntasks=1",
        "--cpus-per-task=2",
        "--gres=gpu:1",
    ]
    assert start(text) == [
        "run", "water", "--mts", "4", "--time-ps", "10.0", "--device", "cuda:0", "--out", "$out",
    ]  # fmt: skip
    assert not (tmp_path / "prod").exists()


@pytest.mark.parametrize(
    ("time", "signal"),
    [("20:00", True), ("24:00:00", True), ("UNLIMITED", True), ("10:00", False), ("1", False)],
)
def test_slurms_signal_comes_after_the_run_stops_by_itself(show, time, signal):
    """It may come a minute early: two minutes before the end, when the run has stopped."""
    text, _ = show(time=("--time", time))
    assert ("--signal=B:USR1@60" in options(text)) == signal


def test_idle_gpus_are_neither_asked_for_nor_hidden(show):
    text, err = show("--gpus", "a100:4")
    assert "--gres=gpu:a100:1" in options(text)
    assert "4 GPUs, but a classical trajectory has one structure at a time" in err
    text, err = show("--gpus", "a100:4", "--beads", "8", "--ensemble", "langevin")
    assert "--gres=gpu:a100:4" in options(text)
    assert "GPUs, but" not in err
    assert "cuda:0,cuda:1,cuda:2,cuda:3" in start(text)


@pytest.mark.parametrize(
    ("words", "n"),
    [
        (("--replicas", "4"), 4),
        (("--temperature-K", "280,300", "--replicas", "2"), 4),
        (("--replicas", "2", "--beads", "2", "--ensemble", "langevin"), 4),
    ],
)
def test_replicas_have_a_gpu_each(show, words, n):
    text, err = show("--gpus", "8", *words)
    assert f"--gres=gpu:{n}" in options(text)
    assert f"beads and replicas are {n} structures at a time, which {n} can serve" in err
    parser = _parser_of_run()
    asked = parser.parse_args(["water", *words, "--out", "$out", "--device", "DEVICES"])
    given = parser.parse_args(start(text)[1:])
    assert given.device == ",".join(f"cuda:{i}" for i in range(n))
    asked.device = given.device
    assert given == asked


def test_two_models_have_a_gpu_each(show):
    text, _ = show("--slow", "analytic:lennard-jones", "--gpus", "2")
    words = start(text)
    assert words[words.index("--slow") + 1] == "analytic:lennard-jones --device cuda:1"
    assert words[words.index("--device") + 1] == "cuda:0"
    text, _ = show("--slow", "analytic:lennard-jones --device cpu", "--gpus", "2")
    assert "analytic:lennard-jones --device cpu" in start(text)


def test_a_heterogeneous_job(show):
    words = ("--beads", "32", "--ensemble", "langevin", "--gpus", "8", "--nodes", "2")
    text, _ = show(*words, "--ipi-partition", "cpu", "--partition", "gpu", "--account", "me")
    first, second = options(text)
    assert {"--partition=cpu", "--ntasks=1", "--nodes=1", "--account=me"} <= set(first)
    assert {
        "--partition=gpu", "--nodes=2", "--ntasks-per-node=4", "--gres=gpu:4", "--account=me",
        "--time=24:00:00",
    } <= set(second)  # fmt: skip
    assert start(text)[-6:] == ["--drivers", "8", "--remote", "0", "--out", "$out"]
    assert "--device" not in start(text)
    assert "step=(srun --het-group=1 --exact --nodes=1 --ntasks=1 " in text
    assert "for _ in $(seq 8); do" in text
    text, _ = show(*words)
    assert "--cpus-per-task=2" in options(text)  # one for i-PI where a driver is
    assert "step=(srun --exact" in text


def test_an_array_has_its_index_as_seed(show, tmp_path):
    text, _ = show("--array", "1-20%5", out="many")
    assert "--array=1-20%5" in options(text)
    assert f"--output={tmp_path}/many/slurm-%A_%a.out" in options(text)
    assert start(text)[-4:] == ["--seed", "$SLURM_ARRAY_TASK_ID", "--out", "$out"]
    assert f"\nout={tmp_path}/many/$SLURM_ARRAY_TASK_ID\n" in text


@pytest.mark.parametrize(
    ("array", "more", "said"),
    [
        ("1-4", (), None),
        ("1-4", ("--replicas", "3"), "each job takes 3 seeds, from its index on"),
        ("1-10:3", ("--replicas", "3"), None),
        ("1,4,7%2", ("--replicas", "3"), None),
        ("7,1,9", ("--replicas", "3"), "--array 1-10:3 is four jobs"),
        ("1-4", ("--temperature-K", "300,320", "--ensemble", "svr"), None),  # one of each
        ("1-4", ("--velocities", str(VELOCITIES)), "all are the same run; leave --velocities out"),
        ("1-4", ("--velocities", str(VELOCITIES), "--ensemble", "svr"), None),
    ],
)
def test_no_two_runs_of_an_array_are_the_same(capfd, array, more, said):
    code = cli.main(["slurm", "water", "--array", array, *more, "--out", "many", "--dry-run"])
    err = capfd.readouterr().err
    assert code == (2 if said else 0), err
    assert said is None or said in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--gpus", "4", "--drivers", "2"),
            "--drivers 2 isn't used: the script starts a driver on",
        ),
        (("--gpus", "4", "--drivers", "4"), None),
        (("--gpus", "2", "--nodes", "2", "--drivers", "5"), "--drivers 5 isn't used"),
        (("--gpus", "2", "--device", "cuda:0,cuda:1", "--drivers", "4"), None),
    ],
)
def test_a_number_of_drivers_that_is_not_used_is_said(show, words, said):
    text, err = show("--ensemble", "langevin", "--beads", "8", *words)
    assert ("isn't used" in err) == (said is not None)
    assert said is None or said in err
    asked = words[words.index("--drivers") + 1]
    assert said or f"--drivers {asked}" in text or text.count("cuda:") == int(asked)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--device", "cpu"), "--gpus 2, but --device cpu: no driver uses them"),
        (("--device", "cpu", "--nodes", "2"), "drivers on other nodes use them all the same"),
        (("--device", "cpu", "--slow", "analytic:harmonic"), None),  # which may use them
        ((), None),
    ],
)
def test_gpus_beside_a_device_that_is_none_are_said(show, words, said):
    _, err = show("--ensemble", "langevin", "--beads", "8", "--gpus", "2", *words)
    assert ("but --device cpu" in err) == (said is not None)
    assert said is None or said in err


def test_a_port_that_a_job_on_several_nodes_would_not_take_is_refused(capfd):
    words = ("--ensemble", "langevin", "--beads", "8", "--gpus", "2", "--nodes", "2")
    assert cli.main(["slurm", "water", *words, "--port", "5000", "--out", "x", "--dry-run"]) == 2
    assert "leave --port out" in capfd.readouterr().err


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck isn't here")
@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--array", "1-4"),
        ("--beads", "4", "--gpus", "4", "--nodes", "2"),
        ("--driver-options", "--joint 'a \"b\"'"),
    ],
)
def test_shellcheck_finds_nothing(show, tmp_path, words):
    text, _ = show(*words, out="a b")
    done = subprocess.run(
        ["shellcheck", "-"], input=text, capture_output=True, text=True, check=False
    )
    assert done.stdout == ""
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0


FAKE = """#!/bin/sh
echo "$(basename $0) $*" >>calls
case $(basename $0) in
squeue) echo 1:00:00; echo 1:00:00 ;;
scontrol) [ $1 = show ] || exit $REQUEUE; echo "Requeue=1 PreemptTime=$PREEMPTED Nodes=n1" ;;
ncforce) [ $TERM_S -gt 0 ] && sleep $TERM_S && kill $PPID && exec sleep 60; exit $CODE ;;
esac
"""


@pytest.mark.parametrize(
    ("code", "requeue", "last"),
    [
        (0, 0, "ncforce"),
        (75, 0, "scontrol requeue 7"),
        (138, 0, "scontrol requeue 7"),
        (75, 1, "sbatch --dependency=afterany:7 {}/prod/job.sh"),
        (143, 0, "ncforce"),  # of the run alone
        (1, 0, "ncforce"),
    ],
)
def test_what_a_script_does_with_an_exit_code(scripted, tmp_path, code, requeue, last):
    """With programs that only note how they were called."""
    for begun in (False, True):
        found, calls = scripted(begun, CODE=str(code), REQUEUE=str(requeue))
        assert found == code
        assert calls[0] == "squeue --noheader --jobs 7 --format %L"
        words = "--resume" if begun else "water --mts 4"
        assert calls[1] == f"ncforce run {words} --out {tmp_path}/prod --time-limit 1:00:00"
        assert calls[-1].startswith(last.format(tmp_path))


@pytest.mark.parametrize(
    ("preempted", "requeue", "last"),
    [
        ("None", 0, "scontrol show job --oneliner 7"),  # scancel, or Slurm queues it again itself
        ("2026-11-27T06:46:16", 0, "scontrol requeue 7"),
        ("2026-11-27T06:46:16", 1, "sbatch --dependency=afterany:7 {}/prod/job.sh"),
    ],
)
def test_a_job_whose_place_another_one_takes_goes_on(scripted, tmp_path, preempted, requeue, last):
    """Slurm sends TERM and, not much later, KILL."""
    variables = {"PREEMPTED": preempted, "REQUEUE": str(requeue), "TERM_S": "1"}
    code, calls = scripted(True, **variables)
    assert (code, calls[-1]) == (143, last.format(tmp_path))


def test_a_job_that_begins_again_waits_for_what_may_be_cut_off(scripted, tmp_path):
    """The first time it doesn't: then somebody else is at work there, and the run says who."""
    (tmp_path / "prod").mkdir()
    (tmp_path / "prod/.lock").touch()
    _, calls = scripted(True, SLURM_RESTART_COUNT="1")
    assert calls[0] == f"flock {tmp_path}/prod/.lock true"
    _, calls = scripted(True)
    assert calls[0].startswith("squeue ")


@pytest.fixture
def scripted(show, tmp_path):
    """``scripted(begun, ...)``: a script with programs that only note how they are called."""
    for name in ("squeue", "scontrol", "sbatch", "ncforce", "flock"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(FAKE)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "site.toml").write_text(f'setup = ["export PATH={tmp_path}/bin:$PATH"]\n')
    text, _ = show("--mts", "4", "--site", "site.toml")
    defaults = {"CODE": "0", "REQUEUE": "0", "PREEMPTED": "None", "TERM_S": "0"}
    defaults["SLURM_JOB_ID"] = "7"

    def call(begun, **variables):
        (tmp_path / "calls").unlink(missing_ok=True)
        if begun:
            (tmp_path / "prod").mkdir(exist_ok=True)
            (tmp_path / "prod/run.json").touch()
        environment = os.environ | defaults | variables
        done = subprocess.run(["bash"], input=text, env=environment, text=True, check=False)
        return done.returncode, (tmp_path / "calls").read_text().splitlines()

    return call


DISTIL = ("slurm", "distil", "analytic:lennard-jones", "--structure", "argon.xyz", "--out", "pair")


@pytest.fixture
def show_distil(tmp_path, capfd):
    """``show_distil(...)``: the script of a distillation, what was said, and the code."""
    (tmp_path / "argon.xyz").write_text(ARGON)

    def call(*words, of=DISTIL):
        code = cli.main([*of, "--time", "4:00:00", "--dry-run", *words])
        said, err = capfd.readouterr()
        return said, err, code

    return call


def test_a_distillation(show_distil, tmp_path):
    text, err, code = show_distil(
        "--temperature-K", "60,80", "--set", "rounds=2", "--minutes", "600"
    )
    assert (code, err) == (0, "ncforce: 600 minutes: 3 jobs of 04:00:00 at most\n")
    assert {"--time=4:00:00", "--nodes=1", "--cpus-per-task=3", "--signal=B:USR1@60"} <= set(
        options(text)
    )
    assert not any(option.startswith("--gres") for option in options(text))
    assert start(text) == [
        "distil", "analytic:lennard-jones", "--structure", "argon.xyz", "--temperature-K",
        "60.0,80.0", "--minutes", "600.0", "--set", "rounds=2", "--out", "$out",
    ]  # fmt: skip
    assert 'ncforce distil --resume --out "$out")' in text
    assert "if [[ -f $out/distil.json ]]; then" in text
    assert not (tmp_path / "pair").exists()


def test_gpus_of_a_distillation_label_together(show_distil):
    text, err, _ = show_distil("--gpus", "a100:4", "--threads", "2")
    assert {"--gres=gpu:a100:4", "--cpus-per-task=9"} <= set(options(text))
    devices = "cuda:0,cuda:1,cuda:2,cuda:3"
    assert start(text)[-6:] == ["--device", devices, "--threads", "2", "--out", "$out"]
    assert "4 GPUs label together; runs and training use the first of them alone" in err
    text, err, _ = show_distil("--device", "cuda")
    assert {"--gres=gpu:1", "--cpus-per-task=3"} <= set(options(text))
    assert err == ""
    _, err, code = show_distil("--gpus", "1", "--device", "cpu")
    assert (code, "--gpus 1, but --device names 0" in err) == (2, True)


def test_processes_of_a_distillation_label_together(show_distil):
    text, _, _ = show_distil("--drivers", "5")
    assert "--cpus-per-task=6" in options(text)
    assert start(text)[-4:] == ["--drivers", "5", "--out", "$out"]


def test_a_distillation_that_has_begun_goes_on(show_distil, tmp_path):
    """With a new total of minutes each time, which is the same each time."""
    request = Request("analytic:lennard-jones", ("argon.xyz",), minutes=60.0, device="cuda")
    (tmp_path / "pair").mkdir()
    State.new(tmp_path / "pair", request.to_dict()).save()
    resumed = ("slurm", "distil", "--resume", "--out", "pair")
    text, err, _ = show_distil(of=resumed)
    assert "ncforce: 60 minutes: 1 job of 04:00:00 at most" in err
    assert start(text) == ["distil", "--resume", "--out", "$out"]
    assert "--gres=gpu:1" in options(text)
    text, _, _ = show_distil("--gpus", "2", of=resumed)
    assert start(text) == ["distil", "--resume", "--device", "cuda:0,cuda:1", "--out", "$out"]
    assert "--gres=gpu:2" in options(text)
    text, _, _ = show_distil("--minutes", "120", of=resumed)
    assert start(text) == ["distil", "--resume", "--minutes", "120.0", "--out", "$out"]
    assert text.count("--minutes 120.0") == 2
    for words, said in (
        (("--mts", "4"), "leave out --mts"),
        (("--add", "run"), "--add: a job may begin several times"),
    ):
        _, err, code = show_distil(*words, of=resumed)
        assert (code, said in err) == (2, True)
    _, err, code = show_distil()
    assert (code, "pair is not empty" in err) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--recipe",), "--recipe prints what is chosen"),
        (("--time-limit", "1:00:00"), "the script gives --time-limit itself"),
        (("--temperature-K", "-5"), "temperature -5 K"),
        (("--structure", "nothing.xyz"), "nothing.xyz"),
    ],
)
def test_what_is_refused_of_a_distillation(show_distil, words, said):
    _, err, code = show_distil(*words)
    assert (code, said in err) == (2, True)


def test_every_option_of_a_distillation_comes_back():
    parser = slurm_distil._parser()
    for action in parser._actions:
        if not action.option_strings or action.dest in {*OURS, "help"}:
            continue
        value = [] if action.nargs == 0 else ["1"]
        words = ["T", action.option_strings[0], *value, "--out", "o"]
        args = parser.parse_args(words)
        again = words_of(parser, args, slurm_distil.OURS)
        assert vars(parser.parse_args([*again, "--out", "o"])) == vars(args), action.dest


def test_words_come_back_as_they_were_given():
    line = (
        "water --model 'a b.pt' --mts 4 --write-forces --driver-options='--trust --x 1' "
        "--temperature-K 310.5 --seed 0 --ensemble svr --tau-fs 50.0 --out o"
    )
    parser = _parser_of_run()
    args = parser.parse_args(shlex.split(line))
    again = parser.parse_args([*words_of(parser, args, OURS), "--out", str(args.out)])
    assert vars(again) == vars(args)


def test_lists_come_back():
    """Given again and again, with commas, or several words."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--file", action="append")
    parser.add_argument("--heat-K", type=lambda text: [float(x) for x in text.split(",")])
    parser.add_argument("--pair", nargs=2)
    parser.add_argument("--joint", action=argparse.BooleanOptionalAction)
    line = "a b --file x --file y --heat-K 280.0,300.0 --pair 1 2 --no-joint"
    assert words_of(parser, parser.parse_args(line.split())) == line.split()


def test_every_option_of_run_comes_back():
    """Whatever is added to it: no option is of a kind that isn't spelled."""
    parser = _parser_of_run()
    for action in parser._actions:
        if not action.option_strings or action.dest in {*OURS, "help"}:
            continue
        one = "H=4.0,O=10.0" if action.dest == "masses_u" else "1"
        value = [] if action.nargs == 0 else [next(iter(action.choices or [one]))]
        args = parser.parse_args([action.option_strings[0], *value, "--out", "o"])
        words = words_of(parser, args, OURS)
        assert vars(parser.parse_args([*words, "--out", "o"])) == vars(args), action.dest
        assert words, action.dest


SITE = """\
partition = "gpu"
account = "chem042"
time = "12:00:00"
sbatch = ["--constraint=a100", "--mem=32G"]
setup = ["module load python", "source ~/venv/bin/activate"]
"""


def test_settings_of_a_site(show, tmp_path):
    (tmp_path / "config/ncforce").mkdir(parents=True)
    (tmp_path / "config/ncforce/slurm.toml").write_text(SITE)
    text, _ = show(time=())
    found = options(text)
    assert {"--partition=gpu", "--account=chem042", "--time=12:00:00"} <= set(found)
    assert found[-2:] == ["--constraint=a100", "--mem=32G"]
    assert "\nmodule load python\nsource ~/venv/bin/activate\n" in text
    assert "start=(ncforce run water " in text
    text, _ = show("--partition", "debug", "--sbatch", "--nice --exclude='n1'")
    found = options(text)
    assert "--partition=debug" in found
    assert "--partition=gpu" not in found
    assert found[-4:] == ["--constraint=a100", "--mem=32G", "--nice", "--exclude=n1"]


def test_an_option_of_sbatch_alone(show):
    """Without a space, which tells argparse that it isn't one of ours."""
    for words in (("--sbatch", "--mem=32G"), ("--sbatch=--mem=32G",)):
        assert options(show(*words)[0])[-1] == "--mem=32G"
    assert start(show("--driver-options", "--trust")[0])[-3:] == [
        "--driver-options=--trust", "--out", "$out",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("--comment='two words'", '--comment="two words"'),
        ("--comment=no#1", '--comment="no#1"'),
        ("--gres=gpu:a100:1,lustre", "--gres=gpu:a100:1,lustre"),
        ("--constraint='[a|b]&c'", "--constraint=[a|b]&c"),
        ("""'--comment="two words"'""", '--comment="two words"'),
        ("'--mem 32G'", "--mem 32G"),
    ],
)
def test_values_of_sbatch_keep_together(show, word, written):
    """Slurm reads ``#SBATCH --comment=two words`` as an option and a word that is none."""
    text, _ = show("--sbatch", word, "--time", "1:00:00")
    assert f"#SBATCH {written}\n" in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('partion = "gpu"', "partion is no setting; there are partition, account"),
        ("account = 42", 'account: expected text: "...", got 42'),
        ('setup = "module load x"', 'setup: expected a list: ["...", "..."]'),
        ("sbatch = [1]", "sbatch: expected a list"),
        ('sbatch = ["mem=3"]', "sbatch: expected options such as --mem=32G, got 'mem=3'"),
        ('time = "1 day"', "time limit: expected MINUTES"),
        ("partition = gpu", "expected settings in TOML"),
    ],
)
def test_settings_that_make_no_sense(tmp_path, capfd, text, said):
    (tmp_path / "site.toml").write_text(text)
    assert cli.main(["slurm", "water", "--out", "a", "--site", "site.toml", "--dry-run"]) == 2
    assert said in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--time-limit", "1:00:00"), "the script gives --time-limit itself"),
        (("--array", "1-4", "--seed", "3"), "--array gives each run its index as seed"),
        (("--array", "one"), "--array: expected indices such as 1-4"),
        (("--array", "1-4", "--beads", "4", "--gpus", "4", "--ipi-partition", "cpu"),
         "Slurm has no arrays of heterogeneous jobs"),
        (("--dry-run", "--submit"), "leave one out"),
        (("--gpus", "3", "--nodes", "2"), "3 GPUs on 2 nodes"),
        (("--site", "nowhere.toml"), "nowhere.toml"),
        (("--mts", "0"), "MTS ratio M must be 1 or more"),
        (("--out", "50%"), "which Slurm would read in its own way"),
        (("--resume",), "run.json is missing"),
        (("--gpus", "4", "--nodes", "2", "--replicas", "4"), "replicas share the drivers of one"),
        (("--gpus", "1", "--ipi-partition", "cpu", "--remote", "0"), "the script gives --remote"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path, capfd, words, said):
    assert cli.main(["slurm", "water", "--time", "1:00:00", "--out", "a", *words]) == 2
    assert said in capfd.readouterr().err
    assert not (tmp_path / "a").exists()


def test_a_run_that_has_begun_goes_on(tmp_path, capfd):
    """Its words aren't asked for again; how long the rest takes is known."""
    (tmp_path / "argon.xyz").write_text(ARGON)
    job = new_job(
        tmp_path / "a", Plan.from_time("slow", 1, 1.0, 100.0), model="analytic:lennard-jones",
        structure="argon.xyz",
    )  # fmt: skip
    record = {"steps_done": 40_000, "state": "stopped", "timings": {"ms_per_inner_step": 60.0}}
    (tmp_path / "a").mkdir()
    (tmp_path / "a/run.json").write_text(json.dumps(to_record(job) | record))
    words = ["slurm", "--resume", "--time", "1:00:00", "--out", "a", "--dry-run"]
    assert cli.main(words) == 0
    out, err = capfd.readouterr()
    assert "ncforce: a: 1.44 ns/day, 1:00:00 to go, about 2 more jobs of 01:00:00" in err
    assert start(out) == ["run", "--resume", "--out", "$out"]
    assert cli.main([*words, "--time-ps", "200"]) == 0
    assert start(capfd.readouterr().out) == [
        "run", "--resume", "--time-ps", "200.0", "--out", "$out",
    ]  # fmt: skip
    assert cli.main([*words, "--time-ps", "40"]) == 2
    assert "a is done (40 ps); give a longer --time-ps" in capfd.readouterr().err
    assert cli.main([*words, "--mts", "4"]) == 2
    assert "leave out --mts" in capfd.readouterr().err


def test_a_script_lies_with_its_run_and_is_no_run(tmp_path, capfd):
    """It doesn't keep a run out of the directory, and isn't overwritten unasked."""
    words = ["slurm", "water", "--time", "1:00:00", "--out", "a"]
    assert cli.main(words) == 0
    assert capfd.readouterr().out == "a/job.sh; submit it with: sbatch a/job.sh\n"
    (tmp_path / "a/slurm-12_3.out").touch()
    assert contents(tmp_path / "a") == []
    assert cli.main(words) == 0  # the same again
    assert cli.main([*words, "--mts", "4"]) == 2
    assert "a/job.sh exists and is another script; --force replaces it" in capfd.readouterr().err
    assert cli.main([*words, "--mts", "4", "--force"]) == 0
    assert "--mts 4" in (tmp_path / "a/job.sh").read_text()


def test_without_slurm_nothing_is_submitted(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    words = ["slurm", "water", "--time", "1:00:00", "--out", "a", "--submit"]
    assert cli.main(words) == 1
    assert "sbatch isn't here; submit a/job.sh where Slurm is" in capfd.readouterr().err


def test_what_slurm_says_is_handed_on(tmp_path, capfd, monkeypatch):
    sbatch = tmp_path / "sbatch"
    sbatch.write_text(
        "#!/bin/sh\necho first >&2\necho 'sbatch: error: no such partition' >&2\nexit 1\n"
    )
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    words = ["slurm", "water", "--time", "1:00:00", "--out", "a", "--submit"]
    assert cli.main(words) == 1
    assert "sbatch didn't take a/job.sh: sbatch: error: no such part" in capfd.readouterr().err


def test_the_verb_has_all_words_of_run(capfd):
    with pytest.raises(SystemExit):
        cli.main(["slurm", "--help"])
    shown = capfd.readouterr().out
    missing = [
        name
        for action in _parser_of_run()._actions
        for name in action.option_strings[:1]
        if action.help != "==SUPPRESS==" and name not in shown
    ]
    assert missing == []
    assert runs.EXAMPLES

"""What users' words say of models: names stay, paths become absolute."""

import sys

import pytest
from ase.build import bulk

from ncforce_ipi import cli
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.inputs.service import of_driver, parse_model, service_of
from ncforce_ipi.launch.jobs.job import new_job


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.pt").write_text("")
    (tmp_path / "table.json").write_text("{}")
    (tmp_path / "libraries").mkdir()
    (tmp_path / "cpu").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("--extensions libraries", ("--extensions", "{}/libraries")),
        ("--extensions=libraries", ("--extensions={}/libraries",)),
        ("--extensions elsewhere", ("--extensions", "elsewhere")),  # the driver says what is wrong
        ("--arguments table.json", ("--arguments", "{}/table.json")),
        ("--arguments=table.json", ("--arguments={}/table.json",)),
        ("--device cpu", ("--device", "cpu")),  # a folder of that name isn't meant
    ],
)
@pytest.mark.parametrize("program", ["", "echo driver metatomic --model "])
def test_paths_are_absolute_since_drivers_run_elsewhere(here, program, words, options):
    found = parse_model(f"{program or 'metatomic:'}model.pt {words}")
    assert found.model == f"{here}/model.pt"
    assert found.options == tuple(one.format(here) for one in options)


def test_words_may_be_longer_than_names_of_files(here):
    long = '{"cutoff_A": ' + "1" * 300 + "}"
    assert parse_model(f"analytic:lennard-jones --arguments '{long}'").options[1] == long


@pytest.mark.parametrize("forces", ["slow", "fast"])
def test_a_run_of_one_force_needs_its_model_only(here, capsys, forces):
    bulk("Ar", cubic=True).write("ar.xyz")
    words = ["input", "--structure", "ar.xyz", "--out", "there"]
    other = {"slow": "fast", "fast": "slow"}[forces]
    named = [f"--{forces}", "analytic:lennard-jones", "--forces"]
    assert cli.main([*words, *named, other]) == 2
    assert "give --model and --structure" in capsys.readouterr().err
    assert cli.main([*words, *named, forces]) == 0


@pytest.mark.parametrize(
    "spec", ["sevennet:7net-0", "'orb:orb-v2' --dtype float64", "echo driver mace --model=small"]
)
def test_the_words_of_a_driver_say_the_model(here, spec):
    model = parse_model(spec)
    found = of_driver(model.driver())
    assert (found.family, found.model, found.options) == (model.family, model.model, model.options)


@pytest.mark.parametrize(
    ("own", "passed"),
    [
        ("", ["--device", "cuda:0", "--threads", "2"]),
        ("--device cpu", ["--threads", "2", "--device", "cpu"]),
        ("--threads=4", ["--device", "cuda:0", "--threads=4"]),
        ("--threads 4 --device cpu", ["--threads", "4", "--device", "cpu"]),
        ("--dtype float64", ["--device", "cuda:0", "--threads", "2", "--dtype", "float64"]),
    ],
)
def test_device_and_threads_of_all_count_where_a_model_has_no_own(own, passed):
    slow = f"sevennet:7net-0 {own}"
    found = service_of("water", slow=slow, device="cuda:0,cuda:1", threads=2).slow_driver
    assert found[found.index("7net-0") + 1 :] == tuple(passed)


@pytest.mark.parametrize(
    ("forces", "slow", "refused"),
    [
        ("slow", "sevennet:7net-0", True),
        ("slow", None, False),  # the driver of both forces has them
        ("slow", "water", False),
        ("mts", "sevennet:7net-0", False),  # that of the fast ones
        ("fast", "sevennet:7net-0", False),
    ],
)
def test_options_that_no_driver_would_get_are_refused(tmp_path, forces, slow, refused):
    def make(options):
        plan = Plan(forces, 2 if forces == "mts" else 1, 0.5, 10)
        return new_job(tmp_path, plan, system="water", slow=slow, driver_options=options)

    assert make(()).service.options == ()
    if not refused:
        assert make(["--compile"]).service.options == ("--compile",)
        return
    with pytest.raises(InputError, match=r"\(--compile\) .* put them into the quotes of --slow"):
        make(["--compile"])


OTHER = f"{sys.executable} driver analytic --model harmonic"  # of another environment


@pytest.mark.parametrize(
    ("more", "lost"),
    [
        ({"drivers": 2}, "--drivers 2"),
        ({"device": "cpu,cpu"}, "--device cpu,cpu"),
        ({"slow": OTHER, "device": "cuda:1"}, "--device cuda:1"),
        ({"slow": OTHER, "device": "cuda:1", "threads": 2}, "--device cuda:1 --threads 2"),
        ({"slow": f"{OTHER} --threads 4 --device=cpu", "device": "cuda:1", "threads": 2}, ""),
        ({"device": "cuda:1", "threads": 2, "drivers": 1}, ""),
        ({"slow": None, "device": "cuda:0,cuda:1", "threads": 2}, ""),
    ],
)
@pytest.mark.parametrize("forces", ["slow", "mts"])
def test_more_than_the_one_driver_of_slow_forces_alone_is_said(
    tmp_path, caplog, forces, more, lost
):
    def make(**words):
        caplog.clear()
        plan = Plan(forces, 2 if forces == "mts" else 1, 0.5, 10)
        service = new_job(tmp_path, plan, system="water", **words).service
        said = [record.message for record in caplog.records if "isn't used" in record.message]
        return service, [message.partition(" isn't used")[0] for message in said]

    more = {"slow": "analytic:harmonic", **more}
    assert make(**more)[1] == ([lost] if lost and forces == "slow" else [])
    model = more.pop("slow") or "water"
    service, said = make(model=model, **more)  # as the warning says
    assert service.slow_driver == ()
    assert not said


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("input", "water", "--forces", "slow"), 2),
        (("run", "water", "--forces", "slow"), 2),
        (("run", "water", "--forces", "slow", "--replicas", "2"), 2),
        (("slurm", "water", "--forces", "slow", "--dry-run"), 2),
        (("input", "water", "--forces", "mts"), 0),
    ],
)
def test_every_command_refuses_them(here, capsys, words, code):
    more = ["--slow", "analytic:harmonic", "--driver-options=--nonsense 3", "--out", "there"]
    assert cli.main([*words, *more]) == code
    said = "driver options (--nonsense 3) are those of the fast forces' driver"
    assert (said in capsys.readouterr().err) == (code != 0)
    assert (here / "there").exists() == (code == 0)


@pytest.mark.parametrize(
    ("forces", "words", "left"),
    [
        ("slow", {"fast": "analytic:harmonic"}, "--fast analytic:harmonic"),
        ("fast", {"slow": "analytic:harmonic"}, "--slow analytic:harmonic"),
        (
            "slow",
            {"slow": "analytic:harmonic", "fast": "'orb:a b'"},
            "--fast ''\"'\"'orb:a b'\"'\"''",
        ),
        ("slow", {"slow": "analytic:harmonic", "model": "orb:a"}, "--model orb:a"),
        ("fast", {"fast": "analytic:harmonic", "model": "orb:a"}, "--model orb:a"),
        ("mts", {"slow": "analytic:harmonic", "fast": "water", "model": "orb:a"}, "--model orb:a"),
        ("mts", {"slow": "analytic:harmonic", "fast": "orb:b"}, None),
        ("mts", {"slow": "analytic:harmonic", "model": "orb:a"}, None),
        ("slow", {"slow": "analytic:harmonic"}, None),  # the system's own model wasn't asked for
        ("slow", {"slow": "orb:a", "model": "orb:a"}, None),
        ("slow", {"model": "orb:a"}, None),
        ("fast", {"model": "orb:a", "device": "cuda:0,cuda:1"}, None),
    ],
)
def test_a_model_that_the_run_does_not_ask_is_said(tmp_path, caplog, forces, words, left):
    plan = Plan(forces, 2 if forces == "mts" else 1, 0.5, 10)
    service = new_job(tmp_path, plan, system="water", **words).service
    said = [record.message for record in caplog.records if "isn't used" in record.message]
    assert [message.partition(" isn't used")[0] for message in said] == ([left] if left else [])
    given = words.get(forces, words.get("model", "water"))
    if forces != "mts":
        assert service.identity(forces) == new_job(
            tmp_path, plan, system="water", model=given
        ).service.identity("slow")


def test_drivers_count_where_the_other_model_is_not_asked(tmp_path, caplog):
    """``--forces slow --fast X --drivers 2``: two drivers of the system's model."""
    plan = Plan("slow", 1, 0.5, 10)
    made = new_job(tmp_path, plan, system="water", fast="analytic:harmonic", drivers=2)
    assert (made.service.model, made.service.slow_driver, made.service.drivers) == ("water", (), 2)
    said = "--fast analytic:harmonic isn't used: this run has slow forces alone"
    assert [record.message for record in caplog.records if record.levelname != "INFO"] == [said]


@pytest.mark.parametrize("forces", ["slow", "fast"])
def test_a_job_of_one_force_needs_its_model_only(tmp_path, forces):
    """From Python as on the command line."""
    plan = Plan(forces, 1, 0.5, 10)
    made = new_job(tmp_path, plan, structure="water", **{forces: "analytic:harmonic"})
    assert (made.service.family, made.service.slow_driver) == ("analytic", ())
    other = {"slow": "fast", "fast": "slow"}[forces]
    with pytest.raises(InputError, match="name a system"):
        new_job(tmp_path, plan, structure="water", **{other: "analytic:harmonic"})


@pytest.mark.parametrize("command", ["input", "slurm", "run"])
@pytest.mark.parametrize(("forces", "other"), [("slow", "fast"), ("fast", "slow"), ("mts", "slow")])
def test_every_command_says_it(here, capsys, command, forces, other):
    words = [command, "water", "--forces", forces, f"--{other}", "analytic:harmonic"]
    words += ["--out", "there", *(["--dry-run"] if command == "slurm" else [])]
    if command == "run":  # ends before it begins
        words += ["--structure", "nothing.xyz", "--replicas", "3"]
    assert cli.main(words) == (2 if command == "run" else 0)
    said = f"--{other} analytic:harmonic isn't used: this run has {forces} forces alone"
    assert capsys.readouterr().err.count(said) == (forces != "mts")  # once for three replicas

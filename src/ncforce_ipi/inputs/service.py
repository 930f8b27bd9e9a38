"""What serves the forces: models as users name them, and the drivers that serve them."""

from __future__ import annotations

import math
import re
import shutil
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.numbers import settle
from ncforce_ipi.models import SHIPPED, identity, model_path
from ncforce_ipi.models.modelfile import named_model
from ncforce_ipi.models.words import words_of_model

MAX_DRIVERS = 1024
TAKE_FOLDERS = ("--extensions",)  # options of families whose value is a folder
OF_RUNS = (  # words of a driver that a run or an input gives it
    "--role", "--structure", "--report", "--socket-dir", "--sockets-prefix", "--unix", "--host",
    "--port", "--slow-port", "--fast-port", "--slow-address", "--fast-address", "--token-file",
    "--shm",
)  # fmt: skip
FAMILY = re.compile(r"[a-z][a-z0-9_-]*")
FORMS = (
    "a shipped model (water), a metatomic file, FAMILY:MODEL, 'FAMILY:MODEL OPTIONS', or "
    "'[PATH/]ncforce driver FAMILY --model ...' of another environment"
)


@dataclass(frozen=True)
class Service:
    """How the forces are served.

    Attributes
    ----------
    family : model family, see ``ncforce driver --list``
    model : name of a shipped model, or that the family knows, or path
    device : one device, or several with commas, which the drivers take in turn
    threads : CPU threads of each driver
    options : further options of ``ncforce driver``
    drivers : how many processes serve every role; None for one, or one for each device
    program : ``ncforce`` of the environment that has the family's library; None for our own
    slow_driver : words of another driver for the slow forces, so that this one serves the fast
        ones alone: its program, ``driver``, its family and the options of its model
    """

    model: str
    family: str = "metatomic"
    device: str | None = None
    threads: int = 1
    options: tuple[str, ...] = ()
    drivers: int | None = None
    program: str | None = None
    slow_driver: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        settle(self, whole=("threads", "drivers"))
        if self.threads < 1:
            raise InputError(f"threads must be 1 or more, got {self.threads}")
        if self.device is not None and not isinstance(self.device, str):
            raise InputError(f"device: expected 'cuda:0,cuda:1', got {self.device!r}")
        if self.drivers is not None and not 1 <= self.drivers <= MAX_DRIVERS:
            raise InputError(f"drivers must lie between 1 and {MAX_DRIVERS}, got {self.drivers}")
        if "" in self.devices:
            raise InputError(f"device {self.device!r} has an empty name; expected cuda:0,cuda:1")

    @property
    def devices(self) -> tuple[str, ...]:
        """Every device that is named; none if the model chooses."""
        return () if self.device is None else tuple(self.device.split(","))

    def identity(self, component: str) -> str | None:
        """Of the model of slow or fast, as `models.identity` has it; None for a missing file."""
        family, model = self.family, self.model
        if component == "slow" and self.slow_driver:
            model, family = named_model(self.slow_driver)
        path = Path(model).expanduser()
        if model in SHIPPED and family == "metatomic":
            path = model_path(model)
        if path.is_file():
            return identity.of_file(path)
        return identity.of_name(family, model) if is_name(model, family) else None

    @property
    def n_drivers(self) -> int:
        """How many driver processes there are."""
        return self.drivers or len(self.devices) or 1


@dataclass(frozen=True)
class NamedModel:
    """A model as a user names it: the family, the model, and how its driver is started.

    Attributes
    ----------
    family : see ``ncforce driver --list``
    model : a name that the family knows, or the absolute path of a file
    options : of the family, as words of a command line
    program : ``ncforce`` of another environment; None for our own
    """

    family: str
    model: str
    options: tuple[str, ...] = ()
    program: str | None = None

    def driver(self, more: Sequence[str] = ()) -> tuple[str, ...]:
        """The words that start its driver, without a role."""
        program = self.program or str(Path(sysconfig.get_path("scripts")) / "ncforce")
        return (program, "driver", self.family, "--model", self.model, *more, *self.options)


def parse_model(spec: str) -> NamedModel:
    """What a user's words say of a model.

    ::

        water                               a shipped model
        model.pt                            the file of a metatomic model
        sevennet:7net-0                     FAMILY:MODEL
        'orb:orb-v2 --dtype float64'        with options of the family
        '/other/env/bin/ncforce driver mace --model m.model'    of another environment

    Raises
    ------
    InputError
        It makes no sense.
    """
    words = words_of_model(spec)
    if not words:
        raise InputError(f"expected {FORMS}; got nothing")
    if words[1:2] == ["driver"]:
        return _of_another_environment(spec, words)
    head, colon, rest = words[0].partition(":")
    if colon and FAMILY.fullmatch(head) and not Path(words[0]).exists():
        family, model, options = head, rest, words[1:]
    elif Path(spec).expanduser().is_file():  # whatever is in its name
        family, model, options = "metatomic", spec, []
    elif "--model" in words[1:]:
        place = words.index("--model")
        family, model = words[0], words[place + 1] if place + 1 < len(words) else ""
        options = [*words[1:place], *words[place + 2 :]]
    else:
        family, model, options = "metatomic", words[0], words[1:]
    if not model:
        raise InputError(f"{spec!r} names no model; expected {FORMS}")
    return NamedModel(family, absolute(model, family), tuple(_absolute_paths(options)))


def _of_another_environment(spec: str, words: Sequence[str]) -> NamedModel:
    """``[PATH/]ncforce driver FAMILY --model MODEL OPTIONS``."""
    program = shutil.which(Path(words[0]).expanduser())
    if not program:
        raise InputError(f"{words[0]} is no program; expected {FORMS}")
    if len(words) < 3:
        raise InputError(f"{spec!r} names no family; expected {FORMS}")
    found = of_driver([program, *words[1:3], *_absolute_paths(words[3:])])
    return replace(found, program=str(Path(program).absolute()))


def of_driver(words: Sequence[str]) -> NamedModel:
    """The model in the words of a driver: its program, ``driver``, family, ``--model`` MODEL, ...

    Raises
    ------
    InputError
        These words name none.
    """
    model, family = named_model(words)
    options: list[str] = []
    rest = iter(words[3:])
    for word in rest:
        if word == "--model":
            next(rest)
        elif not word.startswith("--model="):
            options.append(word)
    return NamedModel(family, model, tuple(options), words[0])


def service_of(
    default: str,
    *,
    slow: str | None = None,
    fast: str | None = None,
    device: str | None = None,
    threads: int = 1,
    drivers: int | None = None,
    options: Sequence[str] = (),
) -> Service:
    """The drivers of one model that gives both forces, or of one for each.

    Parameters
    ----------
    default : model, as `parse_model` takes it, of each force that isn't named
    slow, fast : another model for this force
    options : further options of the driver of the fast forces

    Raises
    ------
    InputError
        A number out of its range, a model that makes no sense, or options that say where a driver
        goes and what it serves.
    """
    ours, other = parse_model(fast or default), parse_model(slow or default)
    _check_options((*ours.options, *other.options), OF_RUNS)
    _check_options(options, ("--model", *OF_RUNS))
    service = Service(
        ours.model, ours.family, device, threads, (*ours.options, *options), drivers, ours.program
    )
    if other == ours:
        return service
    more: list[str] = []
    if other.program is None:  # another environment may be on another machine, with other devices
        own = {word.partition("=")[0] for word in other.options}
        more += (
            ["--device", service.devices[0]] if service.devices and "--device" not in own else []
        )
        more += ["--threads", str(threads)] if threads != 1 and "--threads" not in own else []
    return replace(service, slow_driver=other.driver(more))


def _check_options(words: Sequence[str], taken: Sequence[str]) -> None:
    """Refuse options with which a driver would serve something else, or somebody else."""
    if named := next((word for word in words if word.partition("=")[0] in taken), None):
        option = named.partition("=")[0]
        advice = "name models with --model, --slow and --fast" if option == "--model" else (
            "a run says that to its drivers itself"
        )  # fmt: skip
        raise InputError(f"{option} among the options of a driver: leave it out; {advice}")


def at_work(n: int, structures: int, *, one_by_one: bool = False) -> int:
    """How many of n drivers work at once.

    Parameters
    ----------
    structures : for which forces are asked at once: beads of all replicas
    one_by_one : each driver takes the next structure; else all go in n requests of equal size
    """
    size = 1 if one_by_one else math.ceil(structures / n)
    return min(n, math.ceil(structures / size))


def what_at_once(structures: int) -> str:
    """For how many structures forces are asked at once, in words."""
    if structures == 1:
        return "a classical trajectory has one structure"
    return f"beads and replicas are {structures} structures"


def idle_drivers(service: Service, structures: int) -> str | None:
    """What to know of drivers that will have nothing to do; None if there are none."""
    n, on_cpus = service.n_drivers, set(service.devices) <= {"cpu"}
    idle = n - at_work(n, structures, one_by_one=on_cpus)
    if not idle:
        return None
    return (
        f"{n} drivers, but {what_at_once(structures)} at a time: {idle} will only stand by; beads "
        "of a path integral, replicas or several runs side by side would use them"
    )


def absolute(name_or_path: str, family: str = "metatomic") -> str:
    """A name as it is, a path made absolute: programs run in the run's directory."""
    if name_or_path in SHIPPED or is_name(name_or_path, family):
        return name_or_path
    return str(Path(name_or_path).expanduser().absolute())


def _absolute_paths(words: Sequence[str]) -> list[str]:
    """Words with absolute paths in the place of files, and of folders where options take one."""
    found, before = [], ""
    for word in words:
        option, equals, value = word.partition("=")
        if equals and option.startswith("--"):
            found.append(f"{option}={_absolute_path(value, option)}")
        else:
            found.append(_absolute_path(word, before))
        before = word
    return found


def _absolute_path(word: str, option: str) -> str:
    try:
        path = Path(word).expanduser()
        is_path = path.exists() if option in TAKE_FOLDERS else path.is_file()
    except (OSError, RuntimeError):  # longer than a name of a file may be; ~ of nobody
        return word
    return str(path.absolute()) if is_path else word


def is_name(model: str, family: str) -> bool:
    """Whether a model is a name that its family may know: no file, and nothing that looks so."""
    looks_like_a_file = re.search(r"/|\.[a-z]+$", model) is not None
    return family != "metatomic" and not looks_like_a_file and not Path(model).is_file()

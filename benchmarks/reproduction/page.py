"""The page ``docs/reproduction.md``: our numbers, the paper's, and why they differ."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from reproduction import figures, of_commands, of_runs, paper, recorded
from reproduction.parts import PARTS, Part
from reproduction.summary import summary
from reproduction.tasks import Choice, Numbers, Task, is_done, is_whole
from reproduction.values import NONE

HEAD = """# The paper, re-run

Each table and figure of *{title}* on the models of this package, made by

```bash
python benchmarks/reproduce.py --out results --hours 8
```

Its options (`python benchmarks/reproduce.py --help`) choose parts, device and hours; `--resume`
goes on with what is there. Below each part are the files of numbers that were measured before, and
what is left to run.
**Paper** stands for numbers of {citation}. Their models and ours differ: ours are small networks,
trained on the data named in [Data of the models](measurements/data.md). What can be compared is the
sign and size of an effect, not its digits.

± is one standard error, of drifts and power a 95 % interval. Where there is none the page says so
and gives no number: the run is too short (less than about 25 correlation times), or it was measured
once. The numbers themselves are in the files that are named.
"""
MOST_NAMES = 6  # of tasks in a line
SECTIONS: Mapping[str, Callable[[Mapping[str, Numbers]], list[str]]] = {
    "nve": of_runs.nve,
    "thermostats": of_runs.thermostats,
    "diffusion": of_runs.diffusion,
    "structure": of_runs.structure,
    "equipartition": of_runs.equipartition,
    "speed": of_commands.speed,
    "jacobian": of_commands.jacobian,
    "optimisation": of_commands.optimisation,
    "training": of_commands.learning,
    "catalysis": of_commands.catalysis,
    "families": of_commands.families,
}


def record_file(out: Path, name: str) -> Path:
    """Where a task's record is."""
    return out / f"{name}.json"


def records(out: Path) -> dict[str, Numbers]:
    """What ran here, by task."""
    found = {}
    for path in sorted(out.glob("*.json")):
        record = json.loads(path.read_text())
        if "task" in record:
            found[str(record["task"])] = dict(record)
    return found


def text(choice: Choice, path: Path) -> str:
    """All of the page; figures go beside it."""
    ours = {name: one for name, one in records(choice.out).items() if one["small"] == choice.small}
    known = recorded.records() | {name: one for name, one in ours.items() if "result" in one}
    folder = path.parent / path.stem
    drawn = figures.draw(known, folder)
    title = "The dark side of the forces"
    lines = [HEAD.format(title=title, citation=paper.CITATION)]
    if choice.small:
        lines.append("**Smallest numbers, as a test: they mean nothing.**\n")
    lines += summary(known)
    for name, part in PARTS.items():
        here = {task.name: known[task.name] for task in part.tasks if task.name in known}
        section = SECTIONS[name](here)
        lines += [f"## {part.title}", "", *section, ""]
        lines += [f"![{part.title}]({path.stem}/{name}.png)", ""] if name in drawn else []
        shown = {} if section[0] == NONE else here
        lines += [*sources(name, part, shown, ours, choice), ""]
    return "\n".join(lines).rstrip() + "\n"


def sources(
    name: str, part: Part, here: Mapping[str, Numbers], ours: Mapping[str, Numbers], choice: Choice
) -> list[str]:
    """Which files the numbers are from, what failed, and what is left with its hours."""
    before: dict[str, list[str]] = {}
    for name_, record in here.items():
        if record["state"] == "recorded":
            before.setdefault(record["source"], []).append(name_)
    lines = [f"- from {file}: {', '.join(them)}" for file, them in before.items()]
    for task in part.tasks:
        record = ours.get(task.name, {})
        if record.get("state") in ("failed", "stopped", "left out"):
            lines.append(f"- `{task.name}` {record['state']}: {record['why']}")
    if choice.small:
        return lines
    left = [
        task
        for task in part.tasks
        if ours.get(task.name, {}).get("state") != "left out"
        and not is_done(task, ours.get(task.name, {}), choice)
    ]
    again = [task for task in left if is_whole(task, here.get(task.name, {}))]
    short = [task for task in left if task not in again]
    lines += _to_run("not run to the end", short, name, part, choice) if short else []
    lines += _to_run("again, from the start", again, name, part, choice) if again else []
    return lines


def _to_run(words: str, tasks: Sequence[Task], name: str, part: Part, choice: Choice) -> list[str]:
    """What is left, its hours, and the command."""
    hours = sum(task.hours(choice) for task in tasks)
    speed = "from timed calls" if choice.ms else "idle, from the table of costs"
    names = [task.name for task in tasks]
    whole = len(tasks) == len(part.tasks)
    only = name if whole or len(names) > MOST_NAMES else ",".join(names)
    return [
        f"- {words}: {'all of it' if whole else _some(names)}, about {_hours(hours)} h on this "
        f"machine ({speed}): `python benchmarks/reproduce.py --out results --resume --only {only} "
        f"--hours {_hours(max(hours, 0.1))}`"
    ]


def _hours(hours: float) -> str:
    """Two digits; whole hours from ten on."""
    return f"{hours:.0f}" if hours >= 10 else f"{hours:.2g}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more

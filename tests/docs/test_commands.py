"""Commands in the manual and the README exist, and those marked run."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sysconfig

import pytest

from ncforce_ipi import cli

from .manual import CODE, FENCE, OWN, ROOT, SHOWN, help_pages

PAGES = [*OWN, *SHOWN]
MARKED = re.compile(
    r"<!-- run(?: with (?P<words>[^>]*?))? -->\n```bash\n(?P<block>.*?)^```", re.M | re.S
)
OF_OTHERS = "springs"  # the family that the page for authors of families makes up
LIMIT_S = 240.0  # for what takes some twenty seconds on an idle core; a busy machine takes longer
WATER = ROOT / "xml_inputs" / "water.xyz"
levels, parser_of = help_pages.subparsers, help_pages.parser_of


def options(parser: argparse.ArgumentParser) -> set[str]:
    """What ``--help`` shows: options kept for an earlier spelling are hidden there."""
    shown = (a for a in parser._actions if a.help is not argparse.SUPPRESS)
    return {name for action in shown for name in action.option_strings}


def commands(text: str) -> list[list[str]]:
    """Words of each ``ncforce ...`` in fenced blocks and in `code`, also of those in quotes."""
    pieces = [line for _, block in FENCE.findall(text) for line in joined(block)]
    pieces += CODE.findall(FENCE.sub("", text))
    found = []
    for piece in pieces:
        words = split(piece)
        found += [
            command for word in words if "ncforce " in word for command in commands_in(split(word))
        ]
        found += commands_in(words)
    return found


def joined(block: str) -> list[str]:
    return block.replace("\\\n", " ").splitlines()


def split(line: str) -> list[str]:
    """Words of a shell; of lines that aren't one, such as printed tables, what blanks separate."""
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        return line.split()


def commands_in(words: list[str]) -> list[list[str]]:
    """``ncforce VERB ...``, up to what ends a command."""
    found = []
    for start, word in enumerate(words[:-1]):
        if word.rsplit("/", 1)[-1] == "ncforce" and re.fullmatch(r"[a-z][a-z-]*", words[start + 1]):
            rest = words[start + 1 :]
            ends = [i for i, other in enumerate(rest) if other in {"&", "&&", "|", ";", "#"}]
            found.append(rest[: min(ends, default=len(rest))])
    return found


def unknown(command: list[str]) -> list[str]:
    """What the program doesn't have of this command: its verb, or some of its options."""
    verb, *rest = cli._verb_first(command)
    if verb not in cli.VERBS:
        return [verb]
    path = [verb]
    if verb == "driver" and rest[:1] == [OF_OTHERS]:
        return []
    if verb == "driver" and rest and rest[0] in levels(parser_of("driver")):
        path.append(rest[0])
    there = options(parser_of(*path))
    asked = [word.split("=")[0] for word in rest if re.match(r"--[A-Za-z]", word)]
    return [option for option in asked if option not in there]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_exists(page):
    wrong = {
        shlex.join(command): missing
        for command in commands(page.read_text(encoding="utf-8"))
        if (missing := unknown(command))
    }
    assert wrong == {}


def test_commands_are_found_in_every_form():
    """Blocks with continued lines, inline code, a command within the quotes of another."""
    text = (
        "`ncforce drift FILE` and ```\n```bash\nncforce run a \\\n  --mts 4  # comment\n"
        "ncforce run --slow '/x/bin/ncforce driver mace --model m' &\n```\n"
    )
    assert commands(text.replace(" and ```", "")) == [
        ["run", "a", "--mts", "4"],
        ["driver", "mace", "--model", "m"],
        ["run", "--slow", "/x/bin/ncforce driver mace --model m"],
        ["drift", "FILE"],
    ]


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        ("run water --mts 4 --no-such X", ["--no-such"]),
        ("dance --mts 4", ["dance"]),
        ("slurm distil --resume --minutes 5 --mts-ratio 4", ["--mts-ratio"]),
        ("driver metatomic --variant pbe --trust", []),
        ("driver metatomic --modal PBE", ["--modal"]),  # an option of SevenNet
    ],
)
def test_a_command_that_does_not_exist_is_noticed(command, missing):
    assert unknown(command.split()) == missing


def test_options_named_alone_exist_somewhere():
    """An option in `code` without its verb belongs to some verb of the program."""
    everything = set().union(*(options(parser_of(verb)) for verb in cli.VERBS))
    families = levels(parser_of("driver"))
    everything |= set().union(*(options(parser_of("driver", name)) for name in families))
    foreign = {"--max-force", "--share"}  # of a script in benchmarks, and of tests.chaos
    wrong = {}
    for page in OWN:
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        named = {
            code.split()[0].split("=")[0].rstrip(":")
            for code in CODE.findall(text)
            if code[:2] == "--"
        }
        if lost := sorted(named - everything - foreign):
            wrong[page.name] = lost
    assert wrong == {}


def marked_blocks() -> list[pytest.param]:
    return [
        pytest.param(found["block"], found["words"], id=f"{page.name}-{index}")
        for page in PAGES
        for index, found in enumerate(MARKED.finditer(page.read_text(encoding="utf-8")))
    ]


@pytest.mark.e2e
@pytest.mark.parametrize(("block", "words"), marked_blocks())
def test_marked_commands_run(block, words, tmp_path):
    """Each block marked ``<!-- run -->``, with ``liquid.xyz`` and ``start.xyz`` there: water.

    ``<!-- run with --time-ps X -->`` shortens the runs of a block to X.
    """
    for option, value in re.findall(r"(--[\w-]+) (\S+)", words or ""):
        assert option in block, f"nothing to shorten: no {option} in the block"
        block = re.sub(rf"{option} \S+", f"{option} {value}", block)
    for name in ("liquid.xyz", "start.xyz"):
        shutil.copy(WATER, tmp_path / name)
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-e", "-c", block],
        cwd=tmp_path, env=os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr

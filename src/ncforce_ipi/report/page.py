"""One HTML page of one or several runs that needs nothing but itself.

Owns the page: its order, its style, and the policy that lets no request leave it.  Numbers and
figures are those of `observables`; a measurement that a run can't give says why in its place.
"""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import Template

from matplotlib.figure import Figure

from ncforce_ipi import plots
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.analyse import HEADINGS, Analysis
from ncforce_ipi.observables.headline import headline
from ncforce_ipi.provenance import Provenance
from ncforce_ipi.report.overlay import OVERLAID, overlaid
from ncforce_ipi.report.view import View
from ncforce_ipi.result import Result, Unavailable
from ncforce_ipi.rundir import INPUT_FILE

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob:; worker-src blob:; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; connect-src data: blob:"
)
PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="$policy">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font: 16px/1.45 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #111; background: #fff }
h1 { font-size: 1.6rem } h2 { font-size: 1.35rem; border-bottom: 2px solid #0072b2 }
h3 { font-size: 1.1rem; margin-bottom: .3rem }
table { border-collapse: collapse; margin: .4rem 0 } td, th { padding: .1rem .9rem .1rem 0;
  text-align: left; vertical-align: top; font-variant-numeric: tabular-nums }
th { border-bottom: 1px solid #999 } td:first-child { color: #444; white-space: nowrap }
.box { border: 2px solid #0072b2; border-radius: .4rem; padding: .2rem .9rem; margin: .6rem 0 }
.contents { color: #666 } a { color: #0072b2 }
.figure { max-width: 46rem; width: 100% } .note { color: #666 }
.view { border: 1px solid #ccc; padding: .3rem }
.view .visualizer { position: relative; height: 32rem }
pre { white-space: pre-wrap; overflow-wrap: anywhere }
</style></head><body>
<h1>$title</h1>
$body
$scripts
</body></html>
""")
LOADER = """
for (const place of document.querySelectorAll('.view')) {
  const data = JSON.parse(document.getElementById(place.id + '-data').textContent);
  const warnings = new Chemiscope.Warnings();
  warnings.addHandler((message) => console.warn(message));
  Chemiscope.StructureVisualizer.load(
    {meta: place.id + '-meta', structure: place.id + '-structure', info: place.id + '-info'},
    data, warnings
  ).then(() => { document.body.dataset.viewReady = 'yes'; })
   .catch((error) => { place.textContent = 'The view could not start: ' + error; });
}
"""


@dataclass(frozen=True)
class Run:
    """One directory on the page.

    Attributes
    ----------
    name : heading
    analysis : all observables of it
    view : of the trajectory, if there is one
    provenance : where the numbers come from
    """

    name: str
    analysis: Analysis
    view: View | None
    provenance: Provenance

    @property
    def anchor(self) -> str:
        """For links within the page."""
        return re.sub(r"\W+", "-", self.name)


def render(runs: Sequence[Run], title: str) -> str:
    """The page."""
    with plots.style():
        body = [_contents(runs)] if len(runs) > 1 else []
        body += [_compared(runs)] if len(runs) > 1 else []
        body += [_section(run, rank) for rank, run in enumerate(runs)]
    views = [run.view for run in runs if run.view is not None]
    scripts = ""
    if views:
        scripts = f"<script>{_in_script(views[0].program)}</script><script>{LOADER}</script>"
    return PAGE.substitute(
        policy=POLICY, title=html.escape(title), body="\n".join(body), scripts=scripts
    )


def _contents(runs: Sequence[Run]) -> str:
    """The headline of every run, with links to its part of the page."""
    parts = []
    for run in runs:
        link = f'<a href="#{run.anchor}">{html.escape(run.name)}</a>'
        parts.append(f"<h3>{link}</h3>{_box(run)}")
    return "\n".join(parts)


def _box(run: Run) -> str:
    lines = [line for line in headline(run.analysis) if not line[1].startswith("ncforce report")]
    return f'<div class="box">{_table([list(line) for line in lines])}</div>'


def _section(run: Run, rank: int) -> str:
    parts = [f'<h2 id="{run.anchor}">{html.escape(run.name)}</h2>', _box(run)]
    links = [f'<a href="#{run.anchor}-{verb}">{heading}</a>' for verb, heading in HEADINGS.items()]
    if run.view is not None:
        links.append(f'<a href="#{run.anchor}-trajectory">Trajectory</a>')
    links.append(f'<a href="#{run.anchor}-provenance">Input and provenance</a>')
    parts.append(f'<p class="contents">{" · ".join(links)}</p>')
    for verb, heading in HEADINGS.items():
        one = run.analysis.results[verb]
        parts.append(f'<h3 id="{run.anchor}-{verb}">{heading}</h3>')
        if isinstance(one, Unavailable):
            parts.append(f'<p class="note">None: {html.escape(one.reason)}</p>')
            continue
        parts.append(_table([[label, text] for label, text in one.lines()]))
        try:
            parts.append(_image(one.figure(), heading))
        except InputError as err:
            parts.append(f'<p class="note">{html.escape(str(err))}</p>')
    if run.view is not None:
        parts.append(_view(run.view, f"view{rank}", f"{run.anchor}-trajectory"))
    parts.append(_origin(run))
    return "\n".join(parts)


def _origin(run: Run) -> str:
    """The command that ran it, its input, and the hashes: below all else."""
    record = run.analysis.data.first.metadata.record
    lines = [f"run by: {record['command']}"] if "command" in record else []
    text = html.escape("\n".join([*lines, *run.provenance.lines()]))
    parts = [
        f'<h3 id="{run.anchor}-provenance">Input and provenance</h3><pre>{text}</pre>',
    ]
    path = run.analysis.data.first.directory / INPUT_FILE
    if path.is_file():
        xml = html.escape(path.read_text(encoding="utf-8", errors="replace"))
        parts.append(f"<details><summary>{INPUT_FILE}</summary><pre>{xml}</pre></details>")
    return "".join(parts)


def _view(view: View, name: str, anchor: str) -> str:
    inner = "".join(f'<div id="{name}-{part}"></div>' for part in ("meta", "info"))
    structure = f'<div id="{name}-structure" class="visualizer"></div>'
    data = f'<script type="application/json" id="{name}-data">{_in_script(view.data)}</script>'
    return (
        f'<h3 id="{anchor}">Trajectory</h3><p>{html.escape(view.words)}; chemiscope</p>{data}'
        f'<div class="view" id="{name}">{structure}{inner}</div>'
    )


def _compared(runs: Sequence[Run]) -> str:
    """One table with a column for each run, and their curves in one figure."""
    parts = ["<h2>Side by side</h2>"]
    for verb, heading in HEADINGS.items():
        found = [run.analysis.available.get(verb) for run in runs]
        lines = [None if one is None else _cells(one) for one in found]
        labels = dict.fromkeys(label for one in lines if one is not None for label in one)
        if not labels:
            continue
        rows = [
            [label, *("-" if one is None else one.get(label, "") for one in lines)]
            for label in labels
        ]
        parts.append(f"<h3>{heading}</h3>" + _table(rows, ["", *(run.name for run in runs)]))
        named = [(run.name, one) for run, one in zip(runs, found, strict=True) if one is not None]
        if verb in OVERLAID and len(named) > 1:
            parts.append(_image(overlaid(named, verb), heading))
    return "\n".join(parts)


def _cells(result: Result) -> dict[str, str]:
    """Text of each label; what it says in several lines (notes) in one cell."""
    found: dict[str, str] = {}
    for label, words in _labelled(result):
        found[label] = f"{found[label]}; {words}" if label in found else words
    return found


def _labelled(result: Result) -> list[tuple[str, str]]:
    """Lines whose empty labels carry on the one before, with a number."""
    lines, last, count = [], "", 0
    for label, words in result.lines():
        last, count = (label, 0) if label else (last, count + 1)
        numbered = count > 0 and last not in ("errors", "note", "run")
        lines.append((f"{last} ({count + 1})" if numbered else last, words))
    return lines


def _table(rows: Sequence[Sequence[str]], head: Sequence[str] = ()) -> str:
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    lines = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows]
    text = "".join(f"<tr>{line}</tr>" for line in ([top] if head else []) + lines)
    return f"<table>{text.replace('+-', '±')}</table>"


def _image(figure: Figure, words: str) -> str:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=130)
    text = base64.b64encode(stream.getvalue()).decode()
    return f'<img class="figure" alt="{html.escape(words)}" src="data:image/png;base64,{text}">'


def _in_script(text: str) -> str:
    """Text whose strings can't end the script element that they stand in."""
    return text.replace("</script", "<\\/script").replace("<!--", "<\\u0021--")

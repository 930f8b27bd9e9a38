"""One HTML page of one or several runs that needs nothing but itself.

Owns the page: its order, its style, and the policy that lets no request leave it.  Numbers and
figures are those of `observables`; a measurement that a run can't give says why in its place.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Template

from matplotlib.figure import Figure

from ncforce_ipi import plots
from ncforce_ipi.errors import InputError
from ncforce_ipi.report.overlay import OVERLAID, VERBS, overlaid
from ncforce_ipi.report.view import View
from ncforce_ipi.result import Finding

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
    findings : of each verb; the error's text where there is none
    view : of the trajectory, if there is one
    facts : provenance, one line each
    """

    name: str
    findings: Mapping[str, Finding | str]
    view: View | None
    facts: Mapping[str, str]


def render(runs: Sequence[Run], title: str) -> str:
    """The page.

    Raises
    ------
    InputError
        No run has anything to show.
    """
    if not any(isinstance(one, Finding) for run in runs for one in run.findings.values()):
        raise InputError(
            "nothing to report: "
            + "; ".join(str(next(iter(run.findings.values()))) for run in runs)
        )
    with plots.style():
        body = [_compared(runs)] if len(runs) > 1 else []
        body += [_section(run, rank) for rank, run in enumerate(runs)]
    views = [run.view for run in runs if run.view is not None]
    scripts = ""
    if views:
        scripts = f"<script>{_in_script(views[0].program)}</script><script>{LOADER}</script>"
    return PAGE.substitute(
        policy=POLICY, title=html.escape(title), body="\n".join(body), scripts=scripts
    )


def _section(run: Run, rank: int) -> str:
    parts = [f"<h2>{html.escape(run.name)}</h2>"]
    for verb, (heading, _) in VERBS.items():
        one = run.findings[verb]
        parts.append(f"<h3>{heading}</h3>")
        if isinstance(one, str):
            parts.append(f'<p class="note">None: {html.escape(one)}</p>')
            continue
        parts.append(_table([[label, text] for label, text in one.lines]))
        try:
            parts.append(_image(one.draw(), heading))
        except InputError as err:
            parts.append(f'<p class="note">{html.escape(str(err))}</p>')
    if run.view is not None:
        parts.append(_view(run.view, f"view{rank}"))
    lines = "\n".join(f"{key}: {value}" for key, value in run.facts.items())
    parts.append(f"<h3>Provenance</h3><pre>{html.escape(lines)}</pre>")
    return "\n".join(parts)


def _view(view: View, name: str) -> str:
    inner = "".join(f'<div id="{name}-{part}"></div>' for part in ("meta", "info"))
    structure = f'<div id="{name}-structure" class="visualizer"></div>'
    data = f'<script type="application/json" id="{name}-data">{_in_script(view.data)}</script>'
    return (
        f"<h3>Trajectory</h3><p>{html.escape(view.words)}; chemiscope</p>{data}"
        f'<div class="view" id="{name}">{structure}{inner}</div>'
    )


def _compared(runs: Sequence[Run]) -> str:
    """One table with a column for each run, and their curves in one figure."""
    parts = ["<h2>Side by side</h2>"]
    for verb, (heading, _) in VERBS.items():
        found = [run.findings[verb] for run in runs]
        good = [one for one in found if isinstance(one, Finding)]
        if not good:
            continue
        labels = dict.fromkeys(_labelled(one)[k][0] for one in good for k in range(len(one.lines)))
        rows = [
            [label, *(dict(_labelled(one)).get(label, "") if isinstance(one, Finding) else "-"
                      for one in found)]
            for label in labels
        ]  # fmt: skip
        parts.append(f"<h3>{heading}</h3>" + _table(rows, ["", *(run.name for run in runs)]))
        if verb in OVERLAID and len(good) > 1:
            named = [(run.name, one) for run, one in zip(runs, found, strict=True)
                     if isinstance(one, Finding)]  # fmt: skip
            parts.append(_image(overlaid(named, verb), heading))
    return "\n".join(parts)


def _labelled(finding: Finding) -> list[tuple[str, str]]:
    """Lines whose empty labels carry on the one before, with a number."""
    result, last, count = [], "", 0
    for label, text in finding.lines:
        last, count = (label, 0) if label else (last, count + 1)
        if last not in ("errors", "note", "run"):
            result.append((f"{last} ({count + 1})" if count else last, text))
        else:
            result.append((last, text))
    return result


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

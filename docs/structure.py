"""Draw the rooms of a package on floors, with arrows for imports, as SVG.

    python docs/structure.py structure.svg

Rooms are what lies at the top of the package, folders and single files.  A room stands one floor
above the highest room that it imports, so that every arrow points down.  Arrows that follow from
others (a imports b, b imports c: a may import c too) are left out.  Rooms that import each other in
a circle stand on one floor, with red arrows between them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
BESIDE = {"ipi_drivers": "drivers", "xml_inputs": "xml_inputs"}  # installed as parts of the package
EXECUTED = {"ipi_drivers.ncforce_pes"}  # by i-PI, as a file of its own: no import of ours
CHARACTER, BOX_PAD, BOX_HEIGHT = 7.4, 22.0, 44.0  # px, at a font of 13 px
GAP, FLOOR_HEIGHT, MARGIN, LANE, BOW = 22.0, 104.0, 24.0, 10.0, 34.0
SWEEPS = 12
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1d2b3a; text-anchor: middle; }
  text.small { font-size: 10.5px; fill: #5b6b7b; }
  text.floor { text-anchor: start; font-size: 10.5px; fill: #8895a3; }
  rect.room { fill: #eef3f8; stroke: #7f95ab; }
  rect.file { fill: #ffffff; stroke: #a9b6c3; }
  line { stroke: #e3e8ee; }
  path.arrow { fill: none; stroke: #6b7f94; stroke-width: 1.1; }
  path.circle { fill: none; stroke: #c0392b; stroke-width: 1.4; }
"""
TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#6b7f94"/></marker></defs>'
)


@dataclass(frozen=True)
class Room:
    """A folder or file at the top of the package, and the rooms that it imports.

    Attributes
    ----------
    name : without the package
    n_files : Python files in it
    imports : names of other rooms
    """

    name: str
    n_files: int
    imports: frozenset[str]


@dataclass
class Place:
    """Where a room stands, or a bend of an arrow (no width) that passes a floor; px."""

    floor: int
    width: float
    x: float = 0.0
    above: list[str] = field(default_factory=list)
    below: list[str] = field(default_factory=list)


def package_map(package: str) -> dict[str, Room]:
    """Rooms of an importable package, by name, from its source."""
    import grimp

    sys.path.insert(0, str(ROOT))
    beside = [name for name in BESIDE if (ROOT / name / "__init__.py").is_file()]
    graph = grimp.build_graph(package, *beside, cache_dir=None)
    files: dict[str, int] = {}
    imports: dict[str, set[str]] = {}
    for module in sorted(graph.modules - EXECUTED):
        room = _room(module, package)
        files[room] = files.get(room, 0) + 1
        found = {_room(name, package) for name in graph.find_modules_directly_imported_by(module)}
        # all rooms may read the package's version; and a room imports itself
        imports.setdefault(room, set()).update(found - {room, package})
    return {
        name: Room(name, n_files, frozenset(imports[name]))
        for name, n_files in files.items()
        if name != "__main__" and (name != package or imports[name])
    }


def _room(module: str, package: str) -> str:
    first, *rest = module.split(".")
    if first != package:
        return BESIDE[first]
    return rest[0] if rest else package


def floors(rooms: Mapping[str, Room]) -> dict[str, int]:
    """Floor of each room, 0 for those that import none; a circle of rooms has one floor."""
    below = _reachable(rooms)
    found: dict[str, int] = {}

    def floor(name: str) -> int:
        if name not in found:
            circle = {other for other in below[name] if name in below[other]} | {name}
            outside = set().union(*(below[other] for other in circle)) - circle
            highest = max((floor(other) for other in outside), default=-1)
            found.update(dict.fromkeys(circle, highest + 1))
        return found[name]

    return {name: floor(name) for name in rooms}


def arrows(rooms: Mapping[str, Room]) -> list[tuple[str, str]]:
    """Imports that don't follow from others, (importing, imported); all of those in circles."""
    below = _reachable(rooms)
    kept = []
    for name, room in sorted(rooms.items()):
        for other in sorted(room.imports):
            between = room.imports - below[other] - {other}  # not below it: not in its circle
            if name in below[other] or not any(other in below[third] for third in between):
                kept.append((name, other))
    return kept


def _reachable(rooms: Mapping[str, Room]) -> dict[str, set[str]]:
    """All rooms that each one imports, directly or not."""
    below = {name: set(room.imports) for name, room in rooms.items()}
    grown = True
    while grown:
        grown = False
        for name, seen in below.items():
            more = set().union(*(below[other] for other in seen)) - seen
            grown |= bool(more)
            below[name] = seen | more
    return below


def picture(rooms: Mapping[str, Room]) -> str:
    """The whole drawing as SVG text; the same rooms give the same bytes."""
    level = floors(rooms)
    places = {name: Place(level[name], _width(room)) for name, room in sorted(rooms.items())}
    routes = [_route(places, *arrow) for arrow in arrows(rooms)]
    width = _arrange(places)
    height = 2 * MARGIN + (max(level.values()) + 1) * FLOOR_HEIGHT - (FLOOR_HEIGHT - BOX_HEIGHT)
    top = {name: _top(place, max(level.values())) for name, place in places.items()}
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img">',
        f"<style>{STYLE}</style>",
        TIP,
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>',
        *(_arrow(route, places, top) for route in routes),
        *(_box(rooms[name], places[name], top[name]) for name in sorted(rooms)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _width(room: Room) -> float:
    return max(len(room.name) * CHARACTER, 40.0) + BOX_PAD


def _top(place: Place, highest: int) -> float:
    return MARGIN + (highest - place.floor) * FLOOR_HEIGHT


def _route(places: dict[str, Place], start: str, end: str) -> list[str]:
    """Names of the places that an arrow passes; a bend on every floor between its ends."""
    route = [start]
    for floor in range(places[start].floor - 1, places[end].floor, -1):
        bend = f"{start}>{end}>{floor}"
        places[bend] = Place(floor, LANE)
        route.append(bend)
    route.append(end)
    for upper, lower in pairwise(route):
        places[upper].below.append(lower)
        places[lower].above.append(upper)
    return route


def _arrange(places: dict[str, Place]) -> float:
    """Order each floor so that few arrows cross, then set ``x``; return the width, px."""
    rows: dict[int, list[str]] = {}
    for name, place in places.items():
        rows.setdefault(place.floor, []).append(name)
    for row in rows.values():
        _spread(places, row)
    for sweep in range(SWEEPS):
        for floor in sorted(rows, reverse=sweep % 2 == 0):
            row = rows[floor]
            row.sort(key=lambda name: (_pull(places, name, down=sweep % 2 == 1), name))
            _spread(places, row)
    width = max(place.x + place.width / 2 for place in places.values())
    left = min(place.x - place.width / 2 for place in places.values())
    for place in places.values():
        place.x += MARGIN - left
    return width - left + 2 * MARGIN


def _pull(places: Mapping[str, Place], name: str, *, down: bool) -> float:
    """Mean x of the neighbours above (on the way down: below); its own where it has none."""
    place = places[name]
    near = (place.below if down else place.above) or place.above or place.below
    return sum(places[other].x for other in near) / len(near) if near else place.x


def _spread(places: Mapping[str, Place], row: Iterable[str]) -> None:
    """Set a row side by side, around 0."""
    names = list(row)
    total = sum(places[name].width for name in names) + GAP * (len(names) - 1)
    x = -total / 2
    for name in names:
        places[name].x = x + places[name].width / 2
        x += places[name].width + GAP


def _arrow(route: list[str], places: Mapping[str, Place], top: Mapping[str, float]) -> str:
    start, end = route[0], route[-1]
    if places[start].floor == places[end].floor:  # a circle: an arc below the boxes
        y, x0, x1 = top[start] + BOX_HEIGHT, places[start].x, places[end].x
        bow = f"C{x0:.1f},{y + BOW:.1f} {x1:.1f},{y + BOW:.1f} {x1:.1f},{y:.1f}"
        return f'<path class="circle" marker-end="url(#tip)" d="M{x0:.1f},{y:.1f} {bow}"/>'
    points = [(places[start].x, top[start] + BOX_HEIGHT)]
    for name in route[1:-1]:
        points += [(places[name].x, top[name]), (places[name].x, top[name] + BOX_HEIGHT)]
    points.append((places[end].x, top[end]))
    path = f"M{points[0][0]:.1f},{points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        path += f" C{x0:.1f},{middle:.1f} {x1:.1f},{middle:.1f} {x1:.1f},{y1:.1f}"
    return f'<path class="arrow" marker-end="url(#tip)" d="{path}"/>'


def _box(room: Room, place: Place, top: float) -> str:
    left = place.x - place.width / 2
    kind, below, middle = "file", "", top + 26
    if room.n_files > 1:
        kind, middle = "room", top + 20
        size = f"{room.n_files} files"
        below = f'<text class="small" x="{place.x:.1f}" y="{top + 35:.1f}">{size}</text>'
    return (
        f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{place.width:.1f}" '
        f'height="{BOX_HEIGHT:.1f}" rx="6"/>'
        f'<text x="{place.x:.1f}" y="{middle:.1f}">{escape(room.name)}</text>{below}'
    )


def main() -> None:
    """Write the picture of this package."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    args.out.write_text(picture(package_map("ncforce_ipi")), encoding="utf-8")


if __name__ == "__main__":
    main()

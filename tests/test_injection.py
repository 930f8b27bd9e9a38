"""Files and names of strangers: nothing gets out of its place, runs, or takes all memory.

Random texts as names in inputs and pages; structure files and model archives with random faults.
What is refused is refused in one line.
"""

import contextlib
import io
import json
import pickle
import tempfile
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from xml.etree import ElementTree

import pytest
from ase import Atoms
from hypothesis import example, given
from hypothesis import strategies as st

from ncforce_ipi.errors import NcforceError
from ncforce_ipi.inputs.ensembles import Ensemble
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.inputs.recipe import Recipe, input_xml
from ncforce_ipi.inputs.service import Service
from ncforce_ipi.inputs.structure import read_structure
from ncforce_ipi.models import modelfile
from ncforce_ipi.observables.analyse import HEADINGS, Analysis
from ncforce_ipi.observables.dataset import open_dataset
from ncforce_ipi.provenance import Provenance
from ncforce_ipi.report import page, view
from ncforce_ipi.result import Unavailable
from ncforce_ipi.species import read_species
from tests.report.test_page import Reader

NASTY = (
    "]]>", "-->", "<!--", "?>", "</script>", "<script>", "&lt;", "\x1b[2J", "\u202e", "\0", "\r\n",
    "</parameters>", "<!ENTITY x SYSTEM 'file:///etc/passwd'>", "$model", "${n_outer}", "'\"`",
)  # fmt: skip
TEXT = st.one_of(
    st.text(max_size=30),
    st.lists(st.one_of(st.sampled_from(NASTY), st.text(max_size=5)), max_size=5).map("".join),
)
ATOMS = Atoms("OH2", [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]], cell=[8, 8, 8], pbc=True)
LITTLE_MB = 40.0  # a bound of 32 MB on what is unpacked, and what it takes to look at that


def one_line(err):
    text = str(err)
    assert text
    assert "\n" not in text
    assert len(text) < 1000
    assert text.isprintable()


def xml_of(name, options=()):
    service = Service(name or "x", "mace", options=tuple(options))
    plan = Plan("mts", 4, 0.5, 10)
    return input_xml(Recipe(plan, Ensemble(), 300.0, 1, service), ATOMS)


def tags(xml):
    return [element.tag for element in ElementTree.fromstring(xml).iter()]


PLAIN = tags(xml_of("model", ["--option", "value"]))


@given(TEXT, st.lists(TEXT, max_size=3))
def test_names_and_options_stay_in_their_place_of_an_input(name, options):
    try:
        xml = xml_of(name, options)
    except NcforceError as err:
        one_line(err)
        return
    assert tags(xml) == PLAIN


@given(TEXT)
def test_any_text_stays_in_its_place_of_a_page(text):
    with tempfile.TemporaryDirectory() as folder:
        shown = view.View(f"var a = {json.dumps(text)};", json.dumps({"name": text}), text)
        nothing = Analysis(open_dataset([Path(folder)]), dict.fromkeys(HEADINGS, Unavailable(text)))
        run = page.Run(text, nothing, shown, Provenance(text, text, text, text))
        reader, plain = Reader(page._section(run, 0)), Reader(page._section(WITHOUT(folder), 0))
    assert [tag for tag, _ in reader.tags] == [tag for tag, _ in plain.tags]
    assert [sorted(attrs) for _, attrs in reader.tags] == [sorted(a) for _, a in plain.tags]
    assert json.loads(reader.scripts[0]) == {"name": text}


def WITHOUT(folder):
    """The same page with a name of one letter."""
    nothing = Analysis(open_dataset([Path(folder)]), dict.fromkeys(HEADINGS, Unavailable("a")))
    shown = view.View("var a = 'a';", json.dumps({"name": "a"}), "a")
    return page.Run("a", nothing, shown, Provenance("a", "a", "a", "a"))


EXTXYZ = b"""3
Lattice="8 0 0 0 8 0 0 0 8" Properties=species:S:1:pos:R:3 pbc="T T T"
O 0 0 0
H 0.76 0.59 0
H -0.76 0.59 0
"""
POSCAR = b"""O H\n1.0\n8 0 0\n0 8 0\n0 0 8\nO H\n1 2\nCartesian\n0 0 0\n.76 .59 0\n-.76 .59 0\n"""
CIF = b"""data_a
_cell_length_a 8\n_cell_length_b 8\n_cell_length_c 8
_cell_angle_alpha 90\n_cell_angle_beta 90\n_cell_angle_gamma 90
loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z
O 0 0 0\nH 0.1 0.1 0\n"""
PIECES = (
    b"nan", b"1e400", b"-1", b"99999999999", b"\0", b"\xff\xfe", b'Lattice="0 0 0"', b"Xx",
    b"\n\n",
    b"Properties=", b"species:S:9", b"T T F", b"%s", b"loop_", b"{", b"[[1,2", b"__import__('os')",
)  # fmt: skip


@st.composite
def damaged(draw, *files):
    """A file with a few faults."""
    data = bytearray(draw(st.sampled_from(files)))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 12))
        data[start : start + length] = draw(
            st.one_of(st.binary(max_size=12), st.sampled_from(PIECES))
        )
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@given(
    st.one_of(damaged(EXTXYZ, POSCAR, CIF), st.binary(max_size=200)),
    st.sampled_from(["s.xyz", "s.extxyz", "POSCAR", "s.cif", "s.pdb", "s.traj", "s"]),
)
@example(b"2000000000\n\nO 0 0 0\n", "s.xyz")
@example(b"-3\n\n", "s.xyz")
def test_structure_files(data, name):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(data)
        for read in (lambda: read_structure(str(path)), lambda: read_species(path)):
            try:
                read()
            except NcforceError as err:
                one_line(err)


@pytest.mark.parametrize("count", [4, 2_000_000_000, 10**40])
def test_atoms_that_are_promised_and_arent_there_are_not_waited_for(count, tmp_path):
    path = tmp_path / "s.xyz"
    path.write_bytes(EXTXYZ.replace(b"3", str(count).encode(), 1))
    with pytest.raises(NcforceError, match=r"is it cut\?|expected an atom count"):
        read_species(path)
    if count > 4:  # else ASE finds it
        with pytest.raises(NcforceError, match=r"promises \d+ atoms, more than are in it"):
            read_structure(str(path))


def archive(data, name="model/data.pkl", method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as packed:
        packed.writestr(name, data)
    return file.getvalue()


SAYS = {"class": "ModelCapabilities", "atomic_types": [1, 8], "outputs": {"energy": {}}}
MODEL = archive(pickle.dumps([json.dumps(SAYS)]))
PACKED = archive(pickle.dumps([json.dumps(SAYS)]), method=zipfile.ZIP_DEFLATED)


def looked_at(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.pt")
        path.write_bytes(data)
        return modelfile.capabilities(path), modelfile.what_instead(path)


def test_these_archives_are_valid():
    """Else the fuzz would only see the first refusal."""
    expected = modelfile.Capabilities(frozenset([1, 8]), frozenset(["energy"]))
    assert [looked_at(data)[0] for data in (MODEL, PACKED)] == [expected] * 2


@given(damaged(MODEL, PACKED))
@example(archive(pickle.dumps([json.dumps({"class": "ModelCapabilities"} | {"outputs": 3})])))
@example(archive(pickle.dumps(['"class": "ModelCapabilities"' + "[" * 100_000])))
@example(archive(b"\x8d" + (2**62).to_bytes(8, "little") + b"abc"))
def test_model_archives(data):
    found, instead = looked_at(data)
    assert found is None or isinstance(found, modelfile.Capabilities)
    assert "\n" not in instead


class Evil:
    """A pickle that would leave a trace."""

    def __reduce__(self):
        return (Path.touch, (Path(tempfile.gettempdir()) / "ncforce-evil-was-here",))


def test_looking_at_an_archive_runs_nothing():
    trace = Path(tempfile.gettempdir()) / "ncforce-evil-was-here"
    trace.unlink(missing_ok=True)
    looked_at(archive(pickle.dumps([Evil(), json.dumps(SAYS)])))
    assert not trace.exists()


def test_a_bomb_takes_little_memory():
    """80 MB in 80 kB."""
    bomb = archive(bytes(80_000_000), method=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 1_000_000
    tracemalloc.start()
    try:
        assert looked_at(bomb)[0] is None
        assert 1e-6 * tracemalloc.get_traced_memory()[1] < LITTLE_MB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("flag", [1, 0x40])
def test_an_encrypted_archive(flag):
    data = bytearray(MODEL)
    for signature, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(signature) + place] |= flag
    with contextlib.suppress(zlib.error):
        assert looked_at(bytes(data))[0] is None or flag == 0x40

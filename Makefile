# make demo: a picosecond of liquid water with MTS forces, analysed.   make test: the test suite.
# make test-matrix: the slow tests: every system, ensemble and choice of forces; thermostats.  12 minutes.
# make test-slurm: jobs of a real Slurm, which Debian's packages make of this machine; as root.
# make test-floors: the side of runs and analyses at the lowest declared versions, without torch.
# make test-families: every model family that goes together in one environment, and MACE in another.
# make test-compiled: --compile of these families, with PyTorch's compiler; minutes for each network.
# make chaos: faults of drivers, processes and disks, done to real runs; writes docs/measurements/faults.md.
# It goes on where it was interrupted.  As root, for a disk of its own.
# make docs: the manual as HTML, docs/_build/html.
# TEST_PROCESSES=2: how many processes share the tests; a file stays in one of them.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
TEST_PROCESSES ?= 2
FLOORS_VENV ?= .venv-floors
FAMILIES_VENV ?= .venv-families
MACE_VENV ?= .venv-mace
FAMILY_TESTS = tests/drivers/test_contract.py tests/drivers/test_compiled_families.py tests/drivers/test_families_e2e.py

# units, readers, analyses, inputs, protocol, launcher, and two runs with i-PI and the analytic models;
# not what needs torch, or libraries that the results are compared with
FLOOR_TESTS = tests/test_units.py tests/analysis tests/reading tests/inputs \
    tests/serve/test_protocol.py tests/serve/test_client.py tests/serve/test_sharedmemory.py \
    tests/drivers/test_analytic.py tests/launch/test_start.py tests/cli/test_tune.py \
    tests/launch/test_launch.py tests/launch/test_supervise.py \
    tests/launch/test_run_e2e.py::test_run_to_the_last_step \
    tests/launch/test_run_e2e.py::test_atoms_too_close_stop_a_run_that_keeps_what_it_wrote \
    --ignore tests/analysis/test_rdf.py --ignore tests/analysis/test_temperature.py

.PHONY: demo test chaos test-matrix test-slurm test-floors test-families test-compiled lint docs clean

demo: $(VENV)/.run
	$(BIN)/ncforce run water --ensemble nve --forces mts --mts 8 --time-ps 1 --out demo
	$(BIN)/ncforce analyze demo

test: $(VENV)/.test
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

test-matrix: $(VENV)/.test
	$(BIN)/python -m pytest -m slow

test-slurm: $(VENV)/.test
	tests/slurm/cluster.sh install
	$(BIN)/python -m pytest -m slurm tests/slurm

chaos: $(VENV)/.test
	mkdir -p build
	$(BIN)/python -m tests.chaos --keep build/chaos.json --table docs/measurements/faults.md

test-floors: $(FLOORS_VENV)/.test
	$(FLOORS_VENV)/bin/python -m pytest $(FLOOR_TESTS)

test-families: $(VENV)/.run $(FAMILIES_VENV)/.test $(MACE_VENV)/.test
	NCFORCE_TEST_FAMILIES="metatomic sevennet orb ase analytic" \
	NCFORCE_TEST_FAST_PYTHON=$(abspath $(BIN))/python \
	$(FAMILIES_VENV)/bin/python -m pytest $(FAMILY_TESTS) tests/launch/test_two_models_e2e.py \
	    tests/drivers/test_sevennet.py tests/drivers/test_orb.py tests/drivers/test_ase.py
	NCFORCE_TEST_FAMILIES="mace" \
	$(MACE_VENV)/bin/python -m pytest $(FAMILY_TESTS) tests/drivers/test_mace.py

test-compiled: $(FAMILIES_VENV)/.test $(MACE_VENV)/.test
	NCFORCE_TEST_FAMILIES="orb" $(FAMILIES_VENV)/bin/python -m pytest -m slow tests/drivers/test_compiled_families.py
	NCFORCE_TEST_FAMILIES="mace" $(MACE_VENV)/bin/python -m pytest -m slow tests/drivers/test_compiled_families.py

lint: $(VENV)/.test
	$(BIN)/pip install -q -c constraints.txt -e ".[lint]"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# warnings are errors: a broken link, a reference to nothing, a docstring that can't be read
docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -b html -W -n --keep-going -q docs docs/_build/html

clean:
	rm -rf $(VENV) $(FLOORS_VENV) $(FAMILIES_VENV) $(MACE_VENV) build src/*.egg-info docs/_build \
	    docs/_generated

$(VENV)/.run: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt -e ".[metatomic,run]"
	touch $@

$(VENV)/.test: $(VENV)/.run
	$(BIN)/pip install -q -c constraints.txt -e ".[test]"
	touch $@

$(VENV)/.docs: $(VENV)/.run
	$(BIN)/pip install -q -c constraints.txt -e ".[docs]"
	touch $@

$(FLOORS_VENV)/.test: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv $(FLOORS_VENV)
	$(FLOORS_VENV)/bin/pip install -q -c constraints-lowest.txt -e ".[run]" \
	    pytest pytest-timeout hypothesis tidynamics emcee
	touch $@

REQUIREMENTS = ipi_drivers/requirements

$(FAMILIES_VENV)/.test: pyproject.toml $(wildcard $(REQUIREMENTS)/*.txt)
	$(PYTHON) -m venv $(FAMILIES_VENV)
	$(FAMILIES_VENV)/bin/pip install -q -c $(REQUIREMENTS)/constraints.txt -e ".[test]" \
	    -r $(REQUIREMENTS)/sevennet.txt -r $(REQUIREMENTS)/orb.txt chgnet so3krates-torch
	touch $@

$(MACE_VENV)/.test: pyproject.toml $(wildcard $(REQUIREMENTS)/*.txt)
	$(PYTHON) -m venv $(MACE_VENV)
	$(MACE_VENV)/bin/pip install -q -c constraints.txt -e ".[run]" pytest pytest-timeout \
	    -r $(REQUIREMENTS)/mace.txt
	touch $@

inputs: $(VENV)/.run
	$(BIN)/python -m ncforce_ipi.inputs.ready_made xml_inputs/ready

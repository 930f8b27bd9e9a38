"""For type checkers in the clone: ``ipi_drivers`` under the name that it is installed as."""

from ipi_drivers import loading as loading
from ipi_drivers import metatomic as metatomic
from ipi_drivers import metatomic_captured as metatomic_captured
from ipi_drivers import metatomic_compiled as metatomic_compiled
from ipi_drivers import metatomic_graphs as metatomic_graphs
from ipi_drivers import ncforce_pes as ncforce_pes
from ipi_drivers import pairlist as pairlist

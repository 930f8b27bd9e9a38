"""For type checkers in the clone: ``ipi_drivers`` under the name that it is installed as."""

from ipi_drivers import loading as loading
from ipi_drivers import metatomic as metatomic
from ipi_drivers import ncforce_pes as ncforce_pes

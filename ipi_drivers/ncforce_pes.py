"""Entry file for stock i-PI: forces of ``ncforce driver`` inside of i-PI, or of its Python driver.

In an input, one block for each role (they share one model)::

    <ffdirect name="slow" pbc="False">
      <pes>custom</pes> <pes_path>/path/of/ncforce_pes.py</pes_path>
      <parameters>{template: init.xyz, model: water, role: slow}</parameters>
    </ffdirect>

and for a socket::

    i-pi-driver-py -u -a slow -m custom -P /path/of/ncforce_pes.py \
                   -o template=init.xyz,model=water,role=slow

``python -m ncforce_ipi.drivers.ncforce_pes`` prints the path.  Parameters: those of
``ncforce_ipi.serve.pes.Pes``.
i-PI puts this file into ``sys.modules`` under its name, which therefore is that of no package.
"""

import sys

from ncforce_ipi.serve.pes import Pes as NcforcePes

__all__ = ["NcforcePes"]
__DRIVER_NAME__ = "ncforce"
__DRIVER_CLASS__ = "NcforcePes"

if __name__ == "__main__":
    sys.stdout.write(f"{__file__}\n")

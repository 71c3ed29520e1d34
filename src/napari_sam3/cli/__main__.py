"""``python -m napari_sam3.cli``, where the script is not on the search path."""

import sys

from napari_sam3.cli import main

sys.exit(main())

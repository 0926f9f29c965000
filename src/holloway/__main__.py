"""`python -m holloway` is the `holloway` command."""

import sys

from holloway.cli.holloway import main

sys.exit(main())

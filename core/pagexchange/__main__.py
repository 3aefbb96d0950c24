"""`python -m pagexchange`: the command line without its script."""

from pagexchange.cli import main

main()

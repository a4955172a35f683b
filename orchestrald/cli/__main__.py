"""Is this `python -m orchestrald.cli`? Then it is `orchestral`."""

from orchestrald.cli.main import main

main()

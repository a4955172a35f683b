"""One script per system, each run in its own process by `benchmarks.contestants`; `contest` holds the rules for all."""

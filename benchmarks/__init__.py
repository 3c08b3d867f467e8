"""What it costs, measured against raw Trio and against the peers that are installed.

::

    python -m benchmarks                        every workload; the tables; minutes
    python -m benchmarks start restarts         some of them
    python -m benchmarks.start                  one, alone
    python -m benchmarks --against HEAD~5       this checkout against another one, side by side

Each workload is a script in this folder, and a value of `harness.values.Workload`: what is done, by
whom it can be done, what is wanted. ``harness`` runs them and shows what came of it, ``peers`` has
what the others need.

A round runs each contender once, in a process of its own, one after the other; so another load on
the machine falls on all of them, and a ratio is taken within one round. Times come from several
machines: only ratios mean something. A contender that has not done its work, such as a child that
was not ready, has no figure: it fails the whole run.
"""

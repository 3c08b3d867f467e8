"""What should happen, decided without acting.

Nothing here awaits, reads a clock, draws a random number or does I/O: time and chance are
arguments. Each of the three machines is a table and a small engine:

- `restart`: one child, from exit to restart, park, escalation or rest
- `connection`: one connection, from attempt to proven to lost
- `status`: one instance, what is said of it

The rest is what they are made of: `failures`, `backoff`, `intensity`, `strategies`, `specs`,
`pressure`, `health`, `liveness`, `sleep`. What a failure means is data: `rules`, which compose in
`rule_sets`, and those that are shipped, in `causes`, which is where users find all of these.
"""

"""What should happen, decided without acting.

Nothing here awaits, reads a clock, draws a random number or does I/O: time and chance are
arguments. There are five machines, each a state and the rules by which it changes:

- `restart`: one child, from exit to restart, park, escalation or rest
- `connection`: one connection, from attempt to proven to lost; its words are in `signals`, its
  policy in `reconnect`, its rules for whoever wants it closed in `closing`
- `status`: one instance, what is said of it
- `breaker`: the instances of one key, when most of them fail
- `budget`: a connection budget, who may attempt and when; it counts by `rate`

The rest is what they are made of, and what is decided beside them:

- children and supervisors: `specs`, `options`, `strategies`, `intensity`, `backoff`
- failures: `failures`, `requested`, `retry_after`. What one means is data: `rules`, which compose
  in `rule_sets`, and those that are shipped, in `causes`, where users find all of these
- health: `health`, `in_words`, `liveness`, `pressure`, `stalls`, `sleep`
- a fleet: `desired`, `standing`, `notices`, `listening`
- the plan of one: `plan`, `schedule`, `spread`, `crash_loop`, `rationed`, `concerns`
- what is refused: `mistakes`, every one of a specification in one error; `handlers` of messages
"""

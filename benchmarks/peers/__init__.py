"""What the other supervisors need to do the same work; each where it is installed.

- triotp and mode-streaming, by pip. triotp asks for a Trio of 2021 and works with a new one:
  ``pip install --no-deps triotp`` and ``pip install trio-util Logbook 'tenacity<9'``.
- OTP's own supervisor, where ``escript`` is: Debian's ``erlang-base``.
- suture, where ``go`` and the library's source are: Debian's ``golang-go`` and
  ``golang-github-thejerf-suture-dev``.
"""

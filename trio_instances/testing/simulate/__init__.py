"""A simulator that hunts the library's own bugs: ``python -m trio_instances.testing.simulate``.

::

    generating   a seed becomes a world: a fleet, and a schedule of what happens to it   (pure)
    stage        a world is played on a real runtime under virtual time
    laws         what must hold is checked after every event                             (pure)
    shrinking    a schedule that breaks a law becomes the shortest one that does
    report       what came of it, in figures
"""

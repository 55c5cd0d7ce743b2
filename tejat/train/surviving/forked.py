"""What the process imports from which those of a run are forked, and nobody else: all that they will need.

To import it ties that process to the supervisor's life. It would not end by itself, since those that are forked from it
hold the pipe at whose end it would notice.
"""

import signal

import orbax.checkpoint

from tejat.train.surviving import leash, programs, worker

leash.die_with_parent()
# A notice may come to all processes of a job at once: this one must not take those along that are to save.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
programs.running()

__all__ = ["orbax", "worker"]

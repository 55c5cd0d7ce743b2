"""What the process imports from which those of a run are forked, and nobody else: all that they will need.

To import it ties that process to the supervisor's life. It would not end by itself, since those that are forked from it
hold the pipe at whose end it would notice.
"""

import orbax.checkpoint

from tejat.train.surviving import leash, programs, worker

leash.die_with_parent()
programs.running()

__all__ = ["orbax", "worker"]

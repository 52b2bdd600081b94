"""A shell without job control starts background jobs with SIGINT ignored, and all that they start too.

Tests of interrupts want what a terminal gives.
https://pubs.opengroup.org/onlinepubs/9699919799/utilities/V3_chap02.html (2.11)
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

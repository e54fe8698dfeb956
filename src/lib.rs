//! oobd: an out-of-band management supervisor.

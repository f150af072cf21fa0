//! A simulated company that writes real log files, with labelled attacks. Not for judging them.

//! Facts a line does not hold: places, agents, people, who is meant. Not for what a line says itself.

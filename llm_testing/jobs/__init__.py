"""Running work: commands, states, the one thread starter, the trainer's lock, the queue, the machine's limits."""

"""The run folders on disk: atomic files, checksummed journals, checkpoints, and the list of runs."""

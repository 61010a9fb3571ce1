"""The meaning of the numbers: arrays in, arrays out, nothing else."""

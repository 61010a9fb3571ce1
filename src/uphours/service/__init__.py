"""The service: what the product does, over HTTP. Reads the clock and the environment; endpoints parse, call, return."""

"""The HTTP service of `capgen serve`: requests in, records out, batched together."""

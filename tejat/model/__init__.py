"""The network: pure functions over declarative parameter trees. Sharding, training and serving live elsewhere."""

"""Coinbase, pretended: the Advanced Trade socket and its public REST answers."""

"""OKX v5, pretended: spot and linear swaps on one public socket, books linked by sequence, REST answers."""

"""KuCoin spot and futures over the unified push gateway, pretended: welcome, obu books, trades, contract states, REST."""

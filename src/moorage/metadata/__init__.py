"""Records of what exists and of what refers to what: the interfaces, and the stores behind them."""

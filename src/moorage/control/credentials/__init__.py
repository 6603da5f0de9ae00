"""Names and secrets in, the person or machine behind them out."""

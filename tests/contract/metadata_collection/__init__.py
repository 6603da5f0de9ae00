"""What is said of garbage collection: queues, forecasts, explanations; on every database."""

"""What exists and who refers to what: one interface, one file a store."""

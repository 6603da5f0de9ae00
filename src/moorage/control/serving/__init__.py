"""Start of the control plane, and what a first start makes."""

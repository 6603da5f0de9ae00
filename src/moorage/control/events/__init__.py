"""The registry's notifications: who may send them, and what the control plane learns of them."""

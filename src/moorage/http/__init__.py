"""The registry's wire: parse, call once, render."""

"""Work that is done again and again: loops with pauses, and tasks that live beside a block."""

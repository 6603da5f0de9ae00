"""Moving in and out: link files into a database, and a database back into link files."""

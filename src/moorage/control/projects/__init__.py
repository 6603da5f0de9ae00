"""Projects, their members, and the tokens that belong to them: who may do what with images."""

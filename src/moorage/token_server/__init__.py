"""A small token server: who may do what by a file of rules, said in signed tokens."""

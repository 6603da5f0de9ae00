"""Sign-in of people: passwords, second factors, providers of identities, sessions, and own tokens."""

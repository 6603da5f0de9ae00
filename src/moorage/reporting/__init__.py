"""Reports of errors to services elsewhere. They need packages of their own, and are loaded only if they are on."""

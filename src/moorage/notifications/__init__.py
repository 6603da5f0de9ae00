"""Events told to other servers: what they say, who hears them, how they are kept until they have arrived."""

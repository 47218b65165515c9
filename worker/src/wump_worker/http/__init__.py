"""What providers get to ask their upstreams with: a client that only goes where it may, and never too far."""

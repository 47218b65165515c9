"""wump's worker: claims due work, runs it, and hands providers what they need to ask their upstreams."""

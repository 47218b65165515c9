"""Reading manifests: in child processes with limits, and from local trees."""

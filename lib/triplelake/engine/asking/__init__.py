"""From a pool and the requests of a plan to their attempts: servers looked at and tried, waves, tasks, progress."""

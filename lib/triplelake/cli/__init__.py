"""The commands of `triplelake`, one module each: arguments to settings, errors to messages and exit codes."""

"""What a person can order: each command with its Spark session and with what it says."""

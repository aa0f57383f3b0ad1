"""What the end-to-end tests stand on: servers as processes, and clients that see every byte."""

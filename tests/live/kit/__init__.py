"""What the live tests stand on: a daemon of one's own, clients, the interface's own description, and /proc."""

//! Starts the private cluster and the sandbox.

//! An unmodified `kubectl`, over a socket.

//! End-to-end tests live in `tests/`: real clients against the real binary, every listener on 127.0.0.1.

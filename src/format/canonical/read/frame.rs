//! The LZ4 frame.

//! The extension, used by SQL as an app uses it, on a real server.

mod smoke;

//! The engine, from outside, with sound, faulty and hostile components.

#![allow(clippy::unwrap_used)] // a test fails by panicking, in its support functions too

mod answers;
mod attacks;
mod calls;
mod code_cache;
mod guest;
mod hostile;
mod loading;
mod published;
mod requests;

//! The engine, from outside: components that are well made, badly made, and made to do harm.

#![allow(clippy::unwrap_used)] // a test fails by panicking, in its support functions too

mod answers;
mod attacks;
mod calls;
mod code_cache;
mod guest;
mod loading;
mod published;
mod requests;

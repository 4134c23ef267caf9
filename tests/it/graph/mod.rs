//! Microsoft Graph, real HTTP, and everything that can go wrong with it.

mod client;
mod people;

//! *Purpose*: speaks HTTP.
//!
//! *Owns*: the wire types, the routes, the status codes.
//!
//! *Promises*: what [`wire`] reads and writes is the contract; nothing else invents JSON.
//!
//! *Not here*: the command line (`cli`), which speaks the same wire types from the other end.

pub mod wire;

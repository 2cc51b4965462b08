//! The sandbox, from outside: a real one on a loopback port, asked over HTTP.
#![expect(clippy::disallowed_methods, reason = "the backend in these tests reads the machine's clock")]
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the message")]

mod backend;
mod calls;
mod contract;
mod faults;
mod harness;
mod objects;
mod outbound;
mod schema_oracle;
mod self_knowledge;
mod state_file;

//! Tells Cargo that a new file under `migrations` changes this crate: the macro that embeds them only sees the files
//! that were there when it ran.
#![expect(clippy::print_stdout, reason = "this is how a build script talks to Cargo")]

fn main() {
    println!("cargo:rerun-if-changed=../../../migrations");
}

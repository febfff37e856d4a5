//! Has the engine use the scheduler's primitives: see `../src/sync.rs`.

fn main() {
    println!("cargo:rustc-cfg=shuttle");
}

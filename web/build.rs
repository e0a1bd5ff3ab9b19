//! Has the crate built anew when the panel is: files that appear or go are not seen by the compiler otherwise.

fn main() {
    println!("cargo::rerun-if-changed=../frontend/dist");
}
